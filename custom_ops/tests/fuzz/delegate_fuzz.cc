// Models of one operator, sound or spoiled in some way, through the whole delegate: it may refuse
// them with a reason, and nothing else. A sound model runs, and every kernel gives the same bytes.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "kernels/isa.h"
#include "tests/delegate_model.h"
#include "tests/fake_runtime.h"
#include "tests/fuzz/faults.h"
#include "tests/fuzz/sound_model.h"
#include "tests/loaded_delegate.h"

namespace tfq {
namespace {

// Above what a sound model needs, and little enough that no fault makes a long run.
constexpr int64_t kMaxTensorBytes = 1 << 17;

void Expect(bool condition, const char* what, const std::string& details) {
  if (condition) return;
  fprintf(stderr, "%s: %s\n", what, details.c_str());
  abort();
}

struct Outcome {
  bool is_sound;
  std::string output;

  bool lacks_memory() const {
    return !is_sound && output.find("there is no memory for") != std::string::npos;
  }
};

// The faults that a model meets on its way, the same for every kernel.
struct Course {
  bool spoils_tensors, spoils_memory, resizes;
  std::vector<uint8_t> choices;
};

void FillInput(const OperatorModel& model, FakeRuntime* runtime) {
  std::mt19937 random(7);
  if (model.inputs.empty() || runtime->tensor(0).data == nullptr) return;
  const size_t bytes = runtime->tensor(0).bytes;
  auto* data = static_cast<char*>(runtime->tensor(0).data);
  const int channels = ChannelsOfWords(model);
  std::vector<uint32_t> words;
  if (channels > 0 && channels < 1 << 20) {
    const size_t rows = bytes / sizeof(uint32_t) / WordsFor(channels) + 1;
    words = RandomWords(&random, static_cast<int>(rows), channels);
  }
  for (size_t i = 0; i < bytes; ++i) {
    const bool has_word = i / sizeof(uint32_t) < words.size();
    data[i] = static_cast<char>(
        has_word ? words[i / sizeof(uint32_t)] >> (8 * (i % sizeof(uint32_t))) : random());
  }
}

Outcome Run(const OperatorModel& model, const std::vector<uint8_t>& options, const Course& course,
            const DelegateOptions& delegate_options) {
  FuzzedDataProvider fuzz(course.choices.data(), course.choices.size());
  const LoadedDelegate delegate(delegate_options);
  Expect(delegate.get() != nullptr, "no delegate", delegate.error());
  FakeRuntime runtime(kMaxTensorBytes);
  const int output = AddModel(model, options, &runtime);
  const int node = runtime.plan()[0];
  if (course.spoils_tensors) SpoilTensors(&fuzz, node, &runtime);
  TfLiteStatus status = runtime.ModifyGraphWithDelegate(delegate.get());
  Expect(status == kTfLiteOk, "not claimed", model.name);

  status = runtime.AllocateTensors();
  if (status == kTfLiteOk && course.resizes && runtime.context()->tensors_size > 1 &&
      !model.inputs.empty()) {
    std::vector<int> shape = model.inputs[0].shape;
    if (!shape.empty()) shape[ChooseIndex(&fuzz, shape.size())] = ChooseInteger(&fuzz) & 0x3f;
    runtime.Resize(0, shape);
    status = runtime.AllocateTensors();
  }
  if (status == kTfLiteOk) {
    FillInput(model, &runtime);
    if (course.spoils_memory) SpoilMemory(&fuzz, &runtime);
    status = runtime.Invoke();
    if (status == kTfLiteOk) status = runtime.Invoke();
  }
  const bool is_sound = status == kTfLiteOk;
  Expect(is_sound == runtime.error().empty(), "status and report differ", runtime.error());
  Expect(is_sound || runtime.error().find(model.name + ": ") == 0, "not named", runtime.error());
  if (!is_sound) return {false, runtime.error()};
  const TfLiteTensor& result = runtime.tensor(output);
  return {true, {static_cast<char*>(result.data), result.bytes}};
}

}  // namespace
}  // namespace tfq

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tfq;
  FuzzedDataProvider fuzz(data, size);
  OperatorModel model = ChooseSoundModel(&fuzz);
  const int model_faults = fuzz.ConsumeBool() ? fuzz.ConsumeIntegralInRange<int>(1, 3) : 0;
  for (int i = 0; i < model_faults; ++i) SpoilModel(&fuzz, &model);
  const int width = 1 << fuzz.ConsumeIntegralInRange<int>(0, 3);
  bool fits = true;
  for (const auto& [key, value] : model.options) {
    fits = fits && value >= INT64_MIN >> (64 - 8 * width) && value <= INT64_MAX >> (64 - 8 * width);
  }
  // Offsets must fit too: a narrow map is short.
  auto options = FlexbufferWriter(fits && width > 1 ? width : 8).Write(model.options);
  const bool spoils_bytes = fuzz.ConsumeProbability<float>() < 0.1f;
  if (spoils_bytes) SpoilBytes(&fuzz, &options);
  Course course;
  course.spoils_tensors = fuzz.ConsumeProbability<float>() < 0.1f;
  course.spoils_memory = fuzz.ConsumeProbability<float>() < 0.1f;
  course.resizes = fuzz.ConsumeProbability<float>() < 0.2f;
  const bool has_threads = fuzz.ConsumeProbability<float>() < 0.1f;
  const bool has_faults = model_faults > 0 || spoils_bytes || course.spoils_tensors ||
                          course.spoils_memory || course.resizes;
  course.choices = fuzz.ConsumeRemainingBytes<uint8_t>();

  const std::string threads = has_threads ? "3" : "1";
  const Outcome first = Run(model, options, course, {{"kernel", "portable"}, {"threads", "1"}});
  Expect(has_faults || first.is_sound, "a sound model is refused", first.output);
  for (int i = 0; const Isa* isa = IsaAt(i); ++i) {
    if (!IsaIsSupported(*isa)) continue;
    const Outcome other =
        Run(model, options, course, {{"kernel", IsaName(*isa)}, {"threads", threads}});
    Expect(has_faults || other.is_sound, "a sound model is refused", other.output);
    // What they need beside the tensors is their own.
    if (first.lacks_memory() || other.lacks_memory()) continue;
    Expect(other.is_sound == first.is_sound, "kernels disagree", other.output);
    Expect(other.output == first.output, "kernels differ", IsaName(*isa));
  }
  return 0;
}
