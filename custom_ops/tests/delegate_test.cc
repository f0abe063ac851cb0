// The delegate as a runtime sees it: what it claims, its options, memory and threads.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "kernels/isa.h"
#include "tests/delegate_model.h"
#include "tests/fake_runtime.h"
#include "tests/loaded_delegate.h"

// The linker leads the allocations of delegate and kernels here (-Wl,--wrap).
namespace {
std::atomic<int> allocations{0};
std::atomic<int> aligned_allocations{0};
}  // namespace

extern "C" {
void* __real_malloc(size_t size);
void* __real_calloc(size_t count, size_t size);
int __real_posix_memalign(void** memory, size_t alignment, size_t size);

void* __wrap_malloc(size_t size) {
  ++allocations;
  return __real_malloc(size);
}
void* __wrap_calloc(size_t count, size_t size) {
  ++allocations;
  return __real_calloc(count, size);
}
int __wrap_posix_memalign(void** memory, size_t alignment, size_t size) {
  ++allocations;
  ++aligned_allocations;
  return __real_posix_memalign(memory, alignment, size);
}
}

namespace tfq {
namespace {

void FillInput(FakeRuntime* runtime, unsigned seed = 5) {
  std::mt19937 random(seed);
  for (size_t i = 0; i < runtime->bytes(0); ++i) {
    runtime->data(0)[i] = static_cast<char>(random());
  }
}

// A runtime with one model under a delegate, ready to run.
struct Session {
  Session(const OperatorModel& model, const LoadedDelegate& delegate, int recommended = -1) {
    runtime.context()->recommended_num_threads = recommended;
    output = AddModel(model, &runtime);
    EXPECT_EQ(runtime.ModifyGraphWithDelegate(delegate.get()), kTfLiteOk);
    EXPECT_EQ(runtime.AllocateTensors(), kTfLiteOk) << runtime.error();
  }

  std::string Run(unsigned seed = 5) {
    FillInput(&runtime, seed);
    EXPECT_EQ(runtime.Invoke(), kTfLiteOk) << runtime.error();
    return {runtime.data(output), runtime.bytes(output)};
  }

  std::vector<int> OutputShape() {
    const TfLiteIntArray& dims = *runtime.tensor(output).dims;
    return {dims.data, dims.data + dims.size};
  }

  FakeRuntime runtime;
  int output;
};

// One model of every operator and output type.
std::vector<OperatorModel> Models() {
  ProductShape floats, int8s, words, codes, large;
  floats.has_limits = floats.has_integer_bias = floats.has_sum_multiplier = true;
  int8s.output_type = kTfLiteInt8;
  int8s.padding = 2;
  int8s.is_ternary = true;
  words.output_type = kTfLiteInt32;
  words.stride = 2;
  codes.planes = 2;
  codes.has_codes = true;
  codes.groups = 1;
  large.batch = 2;
  large.height = large.width = 17;
  large.channels_in = 128;
  large.channels_out = 70;
  large.output_type = kTfLiteInt32;
  return {
      Bconv2dModel(floats),
      Bconv2dModel(int8s),
      Bconv2dModel(words),
      Bconv2dModel(codes),
      Bconv2dModel(large),
      BdenseModel(floats),
      BdenseModel(words),
      BitpackModel(kTfLiteInt8, {2, 7, 7, 40}, 1),
      BitpackModel(kTfLiteInt8, {2, 7, 7, 40}, 3),
      BmaxpoolModel({2, 9, 8, 3}, 3, 2, 1),
      PreluModel({3, 5, 5, 33}),
  };
}

TEST(Delegate, OptionsThatAreNotKnownAreRefusedWithTheReason) {
  const struct {
    DelegateOptions options;
    const char* reason;
  } refused[] = {
      {{{"thread", "2"}}, "option 'thread' is not known; there are `threads` and `kernel`"},
      {{{"threads", "0"}}, "`threads` must be a number of 1 to 64, not '0'"},
      {{{"threads", "65"}}, "not '65'"},
      {{{"threads", "-1"}}, "not '-1'"},
      {{{"threads", "2x"}}, "not '2x'"},
      {{{"threads", ""}}, "not ''"},
      {{{"threads", "99999999999999999999"}}, "1 to 64"},
      {{{"kernel", "fast"}}, "option `kernel` must be one of "},
      {{{"kernel", ""}}, "not ''"},
  };
  for (const auto& each : refused) {
    const LoadedDelegate delegate(each.options);
    EXPECT_EQ(delegate.get(), nullptr) << each.reason;
    EXPECT_NE(delegate.error().find(each.reason), std::string::npos) << delegate.error();
  }
}

TEST(Delegate, NobodyNeedsToListenAndNothingIsDestroyedInPeace) {
  const char* key = "what";
  EXPECT_EQ(tflite_plugin_create_delegate(&key, &key, 1, nullptr), nullptr);
  const char* none = nullptr;
  EXPECT_EQ(tflite_plugin_create_delegate(&none, &none, 1, nullptr), nullptr);
  tflite_plugin_destroy_delegate(nullptr);
}

TEST(Delegate, TheEnvironmentNamesTheKernelWhereNoOptionDoes) {
  setenv("TFQ_FORCE_KERNEL", "nonsense", 1);
  const LoadedDelegate refused;
  const LoadedDelegate told(DelegateOptions{{"kernel", "portable"}});
  setenv("TFQ_FORCE_KERNEL", "portable", 1);
  const LoadedDelegate taken;
  unsetenv("TFQ_FORCE_KERNEL");
  EXPECT_EQ(refused.get(), nullptr);
  EXPECT_NE(refused.error().find("TFQ_FORCE_KERNEL must be one of "), std::string::npos);
  EXPECT_NE(refused.error().find("portable"), std::string::npos);
  EXPECT_NE(told.get(), nullptr);
  EXPECT_NE(taken.get(), nullptr);
}

TEST(Delegate, ItClaimsItsOperatorsEachByItselfAndNoOther) {
  const LoadedDelegate delegate;
  FakeRuntime runtime;
  AddModel(BmaxpoolModel({1, 4, 4, 1}, 2, 2, 0), &runtime);
  runtime.AddCustomNode("Foreign", {0}, {1}, {});
  runtime.AddCustomNode("TfqUnheard", {0}, {1}, {});
  AddModel(BitpackModel(kTfLiteFloat32, {1, 33}, 1), &runtime);
  ASSERT_EQ(runtime.ModifyGraphWithDelegate(delegate.get()), kTfLiteOk);
  std::vector<std::string> names;
  std::vector<bool> is_claimed;
  for (int node : runtime.plan()) {
    names.push_back(runtime.registration(node).custom_name);
    is_claimed.push_back(runtime.registration(node).invoke != nullptr);
  }
  EXPECT_EQ(names,
            (std::vector<std::string>{"TfqBmaxpool", "Foreign", "TfqUnheard", "TfqBitpack"}));
  EXPECT_EQ(is_claimed, (std::vector<bool>{true, false, false, true}));
}

TEST(Delegate, ResultsDoNotDependOnKernelAndThreads) {
  const LoadedDelegate plain(DelegateOptions{{"kernel", "portable"}, {"threads", "1"}});
  for (const OperatorModel& model : Models()) {
    const std::string expected = Session(model, plain).Run();
    ASSERT_FALSE(expected.empty());
    for (int i = 0; const Isa* isa = IsaAt(i); ++i) {
      if (!IsaIsSupported(*isa)) continue;
      for (const char* threads : {"1", "2", "5"}) {
        const LoadedDelegate delegate(
            DelegateOptions{{"kernel", IsaName(*isa)}, {"threads", threads}});
        EXPECT_EQ(Session(model, delegate).Run(), expected)
            << model.name << ", " << IsaName(*isa) << ", " << threads << " threads";
      }
    }
  }
}

TEST(Delegate, TheInterpretersThreadsAreTakenWhereNoOptionNamesAny) {
  const OperatorModel model = Models()[4];
  const LoadedDelegate delegate;
  const std::string expected = Session(model, delegate).Run();
  for (int recommended : {0, 1, 3, 1000}) {
    EXPECT_EQ(Session(model, delegate, recommended).Run(), expected) << recommended;
  }
}

TEST(Delegate, InputsMayBeResizedAgainAndAgain) {
  const LoadedDelegate delegate(DelegateOptions{{"threads", "2"}});
  ProductShape shape;
  Session session(Bconv2dModel(shape), delegate);
  for (int size : {9, 3, 30, 5}) {
    ASSERT_TRUE(session.runtime.Resize(0, {2, size, size + 1, 2}));
    ASSERT_EQ(session.runtime.AllocateTensors(), kTfLiteOk) << session.runtime.error();
    EXPECT_EQ(session.OutputShape(), (std::vector<int>{2, size, size + 1, shape.channels_out}));
    ProductShape other = shape;
    other.batch = 2;
    other.height = size;
    other.width = size + 1;
    EXPECT_EQ(session.Run(), Session(Bconv2dModel(other), delegate).Run());
  }
}

TEST(Delegate, AnEmptyBatchIsAnEmptyOutput) {
  const LoadedDelegate delegate;
  for (const OperatorModel& model : Models()) {
    Session session(model, delegate);
    std::vector<int> shape = model.inputs[0].shape;
    shape[0] = 0;
    ASSERT_TRUE(session.runtime.Resize(0, shape));
    ASSERT_EQ(session.runtime.AllocateTensors(), kTfLiteOk) << session.runtime.error();
    EXPECT_EQ(session.OutputShape()[0], 0);
    EXPECT_EQ(session.Run(), "") << model.name;
  }
}

TEST(Delegate, InvokingAllocatesNothing) {
  const LoadedDelegate delegate(DelegateOptions{{"threads", "2"}});
  for (const OperatorModel& model : Models()) {
    Session session(model, delegate);
    FillInput(&session.runtime);
    const int before = allocations;
    EXPECT_GT(before, 0);
    for (int i = 0; i < 3; ++i) ASSERT_EQ(session.runtime.Invoke(), kTfLiteOk);
    EXPECT_EQ(allocations, before) << model.name;
  }
}

TEST(Delegate, WeightsAreRepackedOnceAndAgainWhereTheyAreOthers) {
  const LoadedDelegate delegate;
  Session session(Bconv2dModel(), delegate);
  session.Run();
  const int before = aligned_allocations;
  TfLiteContext* context = session.runtime.context();
  const int node = session.runtime.plan()[0];
  auto prepare = [&] {
    TfLiteNode* each;
    TfLiteRegistration* registration;
    context->GetNodeAndRegistration(context, node, &each, &registration);
    return registration->prepare(context, each);
  };
  ASSERT_EQ(prepare(), kTfLiteOk);
  EXPECT_EQ(aligned_allocations, before);

  // The other signs: every product changes its sign.
  TfLiteTensor& filter = session.runtime.tensor(1);
  const Buffer old(filter.bytes);
  memcpy(old.data(), filter.data, filter.bytes);
  const std::string first = session.Run();
  session.runtime.SetBuffer(1, filter.bytes);
  for (size_t i = 0; i < filter.bytes; ++i) {
    const int used = i % 25 == 24 ? 0x3f : 0xff;  // 3 * 2 * 33 bits in 25 bytes
    session.runtime.data(1)[i] = static_cast<char>(~old.data()[i] & used);
  }
  ASSERT_EQ(session.runtime.AllocateTensors(), kTfLiteOk) << session.runtime.error();
  EXPECT_NE(session.Run(), first);
}

TEST(Delegate, MemoryThatIsMissingWhenItRunsIsAnError) {
  const LoadedDelegate delegate;
  for (const OperatorModel& model : Models()) {
    const int last = static_cast<int>(model.inputs.size());
    for (int tensor : {0, last}) {
      for (bool is_null : {true, false}) {
        Session session(model, delegate);
        TfLiteTensor& spoiled = session.runtime.tensor(tensor);
        if (is_null) {
          spoiled.data = nullptr;
        } else {
          session.runtime.SetBuffer(tensor, spoiled.bytes - 1);
        }
        EXPECT_EQ(session.runtime.Invoke(), kTfLiteError) << model.name << tensor << is_null;
        EXPECT_NE(session.runtime.error().find(model.name + ": "), std::string::npos);
        EXPECT_NE(session.runtime.error().find("it was prepared for"), std::string::npos)
            << session.runtime.error();
      }
    }
  }
}

TEST(Delegate, ScratchThatTheRuntimeHasNoMemoryForIsAnErrorWithItsSize) {
  ProductShape shape;
  shape.height = shape.width = 40;
  shape.channels_out = 1;
  shape.output_type = kTfLiteInt8;
  FakeRuntime runtime(40 * 40 * 2 * 4);  // enough for the input, not for a padded copy of it
  const LoadedDelegate delegate;
  AddModel(Bconv2dModel(shape), &runtime);
  ASSERT_EQ(runtime.ModifyGraphWithDelegate(delegate.get()), kTfLiteOk);
  EXPECT_EQ(runtime.AllocateTensors(), kTfLiteError);
  const std::string& error = runtime.error();
  EXPECT_EQ(error.find("TfqBconv2d: there is no memory for "), 0u) << error;
  EXPECT_NE(error.find(" bytes of scratch"), std::string::npos) << error;
}

TEST(Delegate, ItServesSeveralInterpretersAtOnce) {
  const LoadedDelegate delegate(DelegateOptions{{"threads", "2"}});
  const std::vector<OperatorModel> models = Models();
  std::vector<std::thread> users;
  std::vector<int> equal(4);
  for (int user = 0; user < 4; ++user) {
    users.emplace_back([&, user] {
      for (const OperatorModel& model : models) {
        Session session(model, delegate);
        const std::string first = session.Run(user);
        for (int i = 0; i < 20; ++i) equal[user] += session.Run(user) == first;
      }
    });
  }
  for (auto& user : users) user.join();
  for (int count : equal) EXPECT_EQ(count, 20 * static_cast<int>(models.size()));
}

}  // namespace
}  // namespace tfq
