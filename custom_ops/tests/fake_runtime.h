// As much of a TensorFlow Lite runtime as a delegate sees: tensors, nodes, resizing, an arena. It
// takes any model, also one that no real runtime would load.
#ifndef TFQ_TESTS_FAKE_RUNTIME_H_
#define TFQ_TESTS_FAKE_RUNTIME_H_

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tflite/node.h"
#include "tflite/tflite_abi.h"

namespace tfq {

struct IntArrayDeleter {
  void operator()(TfLiteIntArray* array) const { free(array); }
};
using IntArray = std::unique_ptr<TfLiteIntArray, IntArrayDeleter>;

inline IntArray MakeIntArray(const std::vector<int>& values) {
  void* memory = malloc(sizeof(TfLiteIntArray) + sizeof(int) * values.size());
  IntArray array(static_cast<TfLiteIntArray*>(memory));
  array->size = static_cast<int>(values.size());
  std::copy(values.begin(), values.end(), array->data);
  return array;
}

// Exactly as long as it says, so that the address sanitizer sees what goes beyond. Aligned as the
// arena of a runtime is.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t size) : size_(size) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 64, size == 0 ? 1 : size) != 0) abort();
    data_.reset(static_cast<char*>(memory));
  }
  char* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Deleter {
    void operator()(char* data) const { free(data); }
  };
  std::unique_ptr<char, Deleter> data_;
  size_t size_ = 0;
};

class FakeRuntime {
 public:
  // Larger tensors are refused, as by a runtime without the memory.
  static constexpr int64_t kMaxTensorBytes = 1 << 26;

  struct Stored {
    IntArray dims;
    Buffer buffer;
  };

  explicit FakeRuntime(int64_t max_tensor_bytes = kMaxTensorBytes)
      : max_tensor_bytes_(max_tensor_bytes) {
    context_.impl_ = this;
    context_.recommended_num_threads = -1;
    context_.GetExecutionPlan = [](TfLiteContext* context, TfLiteIntArray** plan) {
      FakeRuntime& self = Of(context);
      self.plan_view_ = MakeIntArray(self.plan_);
      *plan = self.plan_view_.get();
      return kTfLiteOk;
    };
    context_.GetNodeAndRegistration = [](TfLiteContext* context, int index, TfLiteNode** node,
                                         TfLiteRegistration** registration) {
      FakeRuntime& self = Of(context);
      *node = &self.nodes_[index]->node;
      *registration = &self.nodes_[index]->registration;
      return kTfLiteOk;
    };
    context_.ResizeTensor = [](TfLiteContext* context, TfLiteTensor* tensor, TfLiteIntArray* size) {
      return Of(context).Resize(tensor, IntArray(size)) ? kTfLiteOk : kTfLiteError;
    };
    context_.AddTensors = [](TfLiteContext* context, int count, int* first) {
      FakeRuntime& self = Of(context);
      *first = static_cast<int>(self.tensors_.size());
      for (int i = 0; i < count; ++i) self.AddTensor(0, kTfLiteArenaRw, {});
      return kTfLiteOk;
    };
    context_.ReportError = ReportError;
    context_.ReplaceNodeSubsetsWithDelegateKernels =
        [](TfLiteContext* context, TfLiteRegistration registration, const TfLiteIntArray* nodes,
           TfLiteDelegate* delegate) {
          Of(context).Replace(registration, *nodes, delegate);
          return kTfLiteOk;
        };
  }

  ~FakeRuntime() {
    for (auto& each : nodes_) {
      if (each->registration.free != nullptr) {
        each->registration.free(&context_, each->node.user_data);
      }
      free(each->node.temporaries);
    }
  }

  TfLiteContext* context() { return &context_; }
  const std::string& error() const { return error_; }
  void ClearError() { error_.clear(); }
  TfLiteTensor& tensor(int index) { return tensors_[index]; }
  char* data(int index) { return stored_[index].buffer.data(); }
  size_t bytes(int index) const { return stored_[index].buffer.size(); }
  TfLiteIntArray* inputs(int node) { return nodes_[node]->inputs.get(); }
  const std::vector<int>& plan() const { return plan_; }
  const TfLiteRegistration& registration(int node) const { return nodes_[node]->registration; }

  int AddTensor(int type, int allocation_type, const std::vector<int>& shape) {
    TfLiteTensor tensor = {};
    tensor.type = type;
    tensor.allocation_type = allocation_type;
    tensors_.push_back(tensor);
    stored_.emplace_back();
    context_.tensors = tensors_.data();
    context_.tensors_size = tensors_.size();
    const int index = static_cast<int>(tensors_.size()) - 1;
    SetShape(&tensors_[index], MakeIntArray(shape));
    return index;
  }

  // A constant of the file, with `bytes` whatever the shape says.
  int AddConstant(int type, const std::vector<int>& shape, const void* values, size_t bytes) {
    const int index = AddTensor(type, kTfLiteMmapRo, shape);
    SetBuffer(index, bytes);
    if (bytes > 0) memcpy(data(index), values, bytes);
    return index;
  }

  void SetBuffer(int index, size_t bytes) {
    stored_[index].buffer = Buffer(bytes);
    tensors_[index].data = stored_[index].buffer.data();
    tensors_[index].bytes = bytes;
  }

  bool Resize(int index, const std::vector<int>& shape) {
    return Resize(&tensors_[index], MakeIntArray(shape));
  }

  int AddCustomNode(const char* name, const std::vector<int>& inputs,
                    const std::vector<int>& outputs, const std::vector<uint8_t>& options) {
    auto owned = std::make_unique<OwnedNode>();
    owned->name = name;
    owned->options = options;
    owned->inputs = MakeIntArray(inputs);
    owned->outputs = MakeIntArray(outputs);
    owned->node.inputs = owned->inputs.get();
    owned->node.outputs = owned->outputs.get();
    owned->node.custom_initial_data = owned->options.data();
    owned->node.custom_initial_data_size = static_cast<int>(options.size());
    owned->registration.builtin_code = kTfLiteBuiltinCustom;
    owned->registration.custom_name = owned->name.c_str();
    nodes_.push_back(std::move(owned));
    plan_.push_back(static_cast<int>(nodes_.size()) - 1);
    return plan_.back();
  }

  TfLiteStatus ModifyGraphWithDelegate(void* plugin_delegate) {
    auto* delegate = static_cast<TfLiteDelegate*>(plugin_delegate);
    return delegate->Prepare(&context_, delegate);
  }

  // Prepares the nodes in order, then gives every tensor but the file's constants its memory.
  TfLiteStatus AllocateTensors() {
    for (int index : plan_) {
      OwnedNode& each = *nodes_[index];
      if (each.registration.prepare == nullptr) {
        error_ += "Encountered unresolved custom op: " + each.name;
        return kTfLiteError;
      }
      const TfLiteStatus status = each.registration.prepare(&context_, &each.node);
      if (status != kTfLiteOk) return status;
    }
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (tensors_[i].allocation_type == kTfLiteMmapRo) continue;
      if (tensors_[i].data == nullptr || stored_[i].buffer.size() != tensors_[i].bytes) {
        SetBuffer(static_cast<int>(i), tensors_[i].bytes);
      }
    }
    return kTfLiteOk;
  }

  TfLiteStatus Invoke() {
    for (int index : plan_) {
      OwnedNode& each = *nodes_[index];
      const TfLiteStatus status = each.registration.invoke(&context_, &each.node);
      if (status != kTfLiteOk) return status;
    }
    return kTfLiteOk;
  }

 private:
  struct OwnedNode {
    std::string name;
    std::vector<uint8_t> options;
    IntArray inputs, outputs;
    TfLiteNode node = {};
    TfLiteRegistration registration = {};
  };

  static FakeRuntime& Of(TfLiteContext* context) {
    return *static_cast<FakeRuntime*>(context->impl_);
  }

  static void ReportError(TfLiteContext* context, const char* format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    Of(context).error_ += text;
  }

  bool Resize(TfLiteTensor* tensor, IntArray shape) {
    return tensor->allocation_type != kTfLiteMmapRo && SetShape(tensor, std::move(shape));
  }

  bool SetShape(TfLiteTensor* tensor, IntArray shape) {
    const size_t size = TypeSize(static_cast<TfLiteType>(tensor->type));
    int64_t bytes = static_cast<int64_t>(size);
    for (int i = 0; i < shape->size; ++i) {
      if (shape->data[i] < 0 || __builtin_mul_overflow(bytes, shape->data[i], &bytes)) bytes = -1;
      if (bytes < 0 || bytes > max_tensor_bytes_) break;
    }
    tensor->dims = shape.get();
    stored_[tensor - tensors_.data()].dims = std::move(shape);
    if (bytes < 0 || bytes > max_tensor_bytes_) {
      tensor->bytes = 0;
      return false;
    }
    tensor->bytes = static_cast<size_t>(bytes);
    return true;
  }

  void Replace(const TfLiteRegistration& registration, const TfLiteIntArray& nodes,
               TfLiteDelegate* delegate) {
    auto owned = std::make_unique<OwnedNode>();
    IntArray replaced = MakeIntArray({nodes.data, nodes.data + nodes.size});
    std::vector<int> inputs, outputs;
    for (int i = 0; i < nodes.size; ++i) {
      const TfLiteNode& node = nodes_[nodes.data[i]]->node;
      // A delegate's node knows its tensors without order and without absent ones.
      for (int j = node.inputs->size - 1; j >= 0; --j) {
        if (node.inputs->data[j] != kTfLiteOptionalTensor) inputs.push_back(node.inputs->data[j]);
      }
      outputs.insert(outputs.end(), node.outputs->data, node.outputs->data + node.outputs->size);
    }
    owned->name = registration.custom_name;
    owned->inputs = MakeIntArray(inputs);
    owned->outputs = MakeIntArray(outputs);
    owned->node.inputs = owned->inputs.get();
    owned->node.outputs = owned->outputs.get();
    owned->node.temporaries = MakeIntArray({}).release();
    owned->node.delegate = delegate;
    owned->registration = registration;
    TfLiteDelegateParams params = {delegate, replaced.get(), owned->inputs.get(),
                                   owned->outputs.get()};
    owned->node.user_data =
        registration.init(&context_, reinterpret_cast<const char*>(&params), sizeof(params));
    nodes_.push_back(std::move(owned));
    const int index = static_cast<int>(nodes_.size()) - 1;
    for (int& each : plan_) {
      if (each == nodes.data[0]) each = index;
    }
  }

  const int64_t max_tensor_bytes_;
  TfLiteContext context_ = {};
  std::vector<TfLiteTensor> tensors_;
  std::vector<Stored> stored_;
  std::vector<std::unique_ptr<OwnedNode>> nodes_;
  std::vector<int> plan_;
  IntArray plan_view_;
  std::string error_;
};

}  // namespace tfq

#endif  // TFQ_TESTS_FAKE_RUNTIME_H_
