// What can be wrong with a model: with its options, its tensors, and the memory it is given.
#ifndef TFQ_TESTS_FUZZ_FAULTS_H_
#define TFQ_TESTS_FUZZ_FAULTS_H_

#include <fuzzer/FuzzedDataProvider.h>

#include <iterator>
#include <string>
#include <vector>

#include "tests/delegate_model.h"
#include "tests/fake_runtime.h"

namespace tfq {

inline int64_t ChooseInteger(FuzzedDataProvider* fuzz) {
  constexpr int64_t kAwkward[] = {0,       -1,        1,         2,         3,         7,
                                  8,       31,        32,        33,        127,       128,
                                  255,     256,       32767,     65535,     65536,     1 << 20,
                                  1 << 24, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, UINT32_MAX};
  return fuzz->ConsumeBool() ? fuzz->PickValueInArray(kAwkward)
                             : fuzz->ConsumeIntegralInRange<int64_t>(-4, 300);
}

inline size_t ChooseIndex(FuzzedDataProvider* fuzz, size_t size) {
  return fuzz->ConsumeIntegralInRange<size_t>(0, size - 1);
}

inline void SpoilTensor(FuzzedDataProvider* fuzz, ModelTensor* tensor) {
  switch (fuzz->ConsumeIntegralInRange<int>(0, 7)) {
    case 0:  // one size
      if (!tensor->shape.empty()) {
        tensor->shape[ChooseIndex(fuzz, tensor->shape.size())] =
            static_cast<int>(ChooseInteger(fuzz));
      }
      break;
    case 1:  // its rank
      tensor->shape.resize(fuzz->ConsumeIntegralInRange<size_t>(0, 10), 1);
      break;
    case 2:
      tensor->type = fuzz->ConsumeIntegralInRange<int>(-1, 25);
      break;
    case 3:
      tensor->allocation_type = fuzz->ConsumeIntegralInRange<int>(0, 6);
      break;
    case 4:
      tensor->is_present = false;
      break;
    case 5:  // fewer or more bytes than the shape needs
      tensor->values.resize(fuzz->ConsumeIntegralInRange<size_t>(0, 512));
      break;
    case 6:  // other values
      if (!tensor->values.empty()) {
        tensor->values[ChooseIndex(fuzz, tensor->values.size())] = fuzz->ConsumeIntegral<uint8_t>();
      }
      break;
    default:  // all of them
      for (uint8_t& each : tensor->values) each = fuzz->ConsumeIntegral<uint8_t>();
  }
}

inline void SpoilModel(FuzzedDataProvider* fuzz, OperatorModel* model) {
  switch (fuzz->ConsumeIntegralInRange<int>(0, 5)) {
    case 0:
      if (!model->options.empty()) {
        auto option = std::next(model->options.begin(), ChooseIndex(fuzz, model->options.size()));
        option->second = ChooseInteger(fuzz);
      }
      break;
    case 1:
      if (!model->options.empty()) {
        model->options.erase(
            std::next(model->options.begin(), ChooseIndex(fuzz, model->options.size())));
      }
      break;
    case 2:
      model->inputs.resize(fuzz->ConsumeIntegralInRange<size_t>(0, 9), Absent());
      break;
    case 3:
      SpoilTensor(fuzz, &model->output);
      break;
    default:
      if (!model->inputs.empty()) {
        SpoilTensor(fuzz, &model->inputs[ChooseIndex(fuzz, model->inputs.size())]);
      }
  }
}

inline void SpoilBytes(FuzzedDataProvider* fuzz, std::vector<uint8_t>* bytes) {
  switch (fuzz->ConsumeIntegralInRange<int>(0, 3)) {
    case 0:
      bytes->resize(ChooseIndex(fuzz, bytes->size() + 1));
      break;
    case 1:
      *bytes = fuzz->ConsumeBytes<uint8_t>(fuzz->ConsumeIntegralInRange<size_t>(0, 64));
      break;
    default:
      if (!bytes->empty()) {
        (*bytes)[ChooseIndex(fuzz, bytes->size())] = fuzz->ConsumeIntegral<uint8_t>();
      }
  }
}

// Before the tensors are allocated.
inline void SpoilTensors(FuzzedDataProvider* fuzz, int node, FakeRuntime* runtime) {
  const int count = static_cast<int>(runtime->context()->tensors_size);
  TfLiteTensor& tensor = runtime->tensor(fuzz->ConsumeIntegralInRange<int>(0, count - 1));
  TfLiteIntArray* inputs = runtime->inputs(node);
  switch (fuzz->ConsumeIntegralInRange<int>(0, 2)) {
    case 0:
      tensor.dims = nullptr;
      break;
    case 1:
      if (tensor.allocation_type == kTfLiteMmapRo) tensor.data = nullptr;
      break;
    default:
      if (inputs->size > 0) {
        inputs->data[ChooseIndex(fuzz, inputs->size)] = static_cast<int>(ChooseInteger(fuzz));
      }
  }
}

// Before the model runs. A tensor never says that it has more than it has: nobody could tell.
inline void SpoilMemory(FuzzedDataProvider* fuzz, FakeRuntime* runtime) {
  const int count = static_cast<int>(runtime->context()->tensors_size);
  const int index = fuzz->ConsumeIntegralInRange<int>(0, count - 1);
  TfLiteTensor& tensor = runtime->tensor(index);
  if (tensor.allocation_type == kTfLiteMmapRo) return;  // a file does not change
  switch (fuzz->ConsumeIntegralInRange<int>(0, 2)) {
    case 0:
      tensor.data = nullptr;
      break;
    case 1:
      runtime->SetBuffer(index, fuzz->ConsumeIntegralInRange<size_t>(0, 4096));
      break;
    default:  // as long as before, but not aligned
      if (tensor.bytes > 0) {
        tensor.data = static_cast<char*>(tensor.data) + 1;
        tensor.bytes -= 1;
      }
  }
}

}  // namespace tfq

#endif  // TFQ_TESTS_FUZZ_FAULTS_H_
