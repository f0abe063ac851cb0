#include "tflite/node.h"

#include <stdlib.h>

#include "kernels/bconv2d.h"

namespace tfq {
namespace {

struct ShapeText {
  char text[96];
};

template <typename Size>
ShapeText Describe(const Size* sizes, int rank) {
  ShapeText shape;
  size_t end = 0;
  shape.text[end++] = '(';
  for (int i = 0; i < rank; ++i) {
    const int room = static_cast<int>(sizeof(shape.text) - end);
    const int written = snprintf(shape.text + end, room, i == 0 ? "%lld" : ", %lld",
                                 static_cast<long long>(sizes[i]));
    if (written >= room - 1) break;  // it ends here, cut off
    end += written;
  }
  shape.text[end++] = ')';
  shape.text[end] = '\0';
  return shape;
}

bool IsAligned(const void* data, size_t alignment) {
  return reinterpret_cast<uintptr_t>(data) % alignment == 0;
}

}  // namespace

const char* TypeName(TfLiteType type) {
  switch (type) {
    case kTfLiteFloat32:
      return "float32";
    case kTfLiteInt32:
      return "int32";
    case kTfLiteUInt8:
      return "uint8";
    case kTfLiteInt8:
      return "int8";
  }
  return "another type";
}

size_t TypeSize(TfLiteType type) {
  switch (type) {
    case kTfLiteFloat32:
    case kTfLiteInt32:
      return 4;
    case kTfLiteUInt8:
    case kTfLiteInt8:
      return 1;
  }
  return 0;
}

int64_t TensorView::Elements() const {
  int64_t product = 1;
  for (int i = 0; i < rank; ++i) product *= sizes[i];
  return product;
}

size_t TensorView::Bytes() const { return static_cast<size_t>(Elements()) * TypeSize(type); }

int64_t TensorView::Rows() const {
  int64_t product = 1;
  for (int i = 0; i < rank - 1; ++i) product *= sizes[i];
  return product;
}

TfLiteTensor* Node::Tensor(const TfLiteIntArray* indices, int position) const {
  if (indices == nullptr || position >= indices->size) return nullptr;
  const int index = indices->data[position];
  if (index < 0 || static_cast<size_t>(index) >= context_->tensors_size) return nullptr;
  return &context_->tensors[index];
}

bool Node::CheckCounts(int lowest, int highest) const {
  const int inputs = inputs_ == nullptr ? 0 : inputs_->size;
  const int outputs = outputs_ == nullptr ? 0 : outputs_->size;
  if (inputs < lowest || inputs > highest) {
    return reason_->Set("needs %d to %d inputs, has %d", lowest, highest, inputs);
  }
  if (outputs != 1) return reason_->Set("needs 1 output, has %d", outputs);
  return true;
}

bool Node::HasInput(int position) const {
  return inputs_ != nullptr && position < inputs_->size &&
         inputs_->data[position] != kTfLiteOptionalTensor;
}

bool Node::View(const TfLiteTensor* tensor, const char* name, TensorView* view) const {
  if (tensor == nullptr) return reason_->Set("%s is missing", name);
  view->type = static_cast<TfLiteType>(tensor->type);
  if (TypeSize(view->type) == 0) return reason_->Set("%s is of type %d", name, tensor->type);
  const TfLiteIntArray* dims = tensor->dims;
  if (dims == nullptr) return reason_->Set("%s has no shape", name);
  if (dims->size < 0 || dims->size > TensorView::kMaxRank) {
    return reason_->Set("%s has rank %d", name, dims->size);
  }
  view->rank = dims->size;
  int64_t elements = 1;
  bool is_sound = true;
  for (int i = 0; i < dims->size; ++i) {
    view->sizes[i] = dims->data[i];
    is_sound = is_sound && dims->data[i] >= 0 &&
               !__builtin_mul_overflow(elements, int64_t{dims->data[i]}, &elements);
  }
  if (!is_sound || elements > INT64_MAX / 8) {
    return reason_->Set("%s has the impossible shape %s", name,
                        Describe(dims->data, dims->size).text);
  }
  return true;
}

bool Node::ViewInput(int position, const char* name, TensorView* view) const {
  return View(Input(position), name, view);
}

bool Node::ViewOutput(TensorView* view) const { return View(Output(), "the output", view); }

bool Node::ResizeOutput(const TensorView& view) {
  auto* dims =
      static_cast<TfLiteIntArray*>(malloc(sizeof(TfLiteIntArray) + sizeof(int) * view.rank));
  if (dims == nullptr) return reason_->Set("there is no memory");
  dims->size = view.rank;
  for (int i = 0; i < view.rank; ++i) dims->data[i] = view.sizes[i];
  if (context_->ResizeTensor(context_, Output(), dims) != kTfLiteOk) {
    return reason_->Set("the output cannot have the shape %s",
                        Describe(view.sizes, view.rank).text);
  }
  return true;
}

bool Node::ReserveScratch(size_t bytes) {
  // Room to align it: the runtime promises less than some kernels want.
  if (bytes > INT32_MAX - kAlignment) return reason_->Set("the input is too large");
  auto* dims = static_cast<TfLiteIntArray*>(malloc(sizeof(TfLiteIntArray) + sizeof(int)));
  if (dims == nullptr) return reason_->Set("there is no memory");
  dims->size = 1;
  dims->data[0] = static_cast<int>(bytes + kAlignment);
  if (context_->ResizeTensor(context_, &context_->tensors[scratch_], dims) != kTfLiteOk) {
    return reason_->Set("there is no memory for %zu bytes of scratch", bytes);
  }
  return true;
}

const void* Node::ConstantOf(int position, const char* name, TfLiteType type, const int64_t* sizes,
                             int rank, size_t size, size_t alignment) const {
  TensorView view;
  const TfLiteTensor* tensor = Input(position);
  if (!View(tensor, name, &view)) return nullptr;
  if (view.type != type) {
    reason_->Set("%s must be %s, not %s", name, TypeName(type), TypeName(view.type));
    return nullptr;
  }
  bool fits = view.rank == rank;
  for (int i = 0; i < rank && fits; ++i) fits = view.sizes[i] == sizes[i];
  if (!fits) {
    reason_->Set("%s must have the shape %s, not %s", name, Describe(sizes, rank).text,
                 Describe(view.sizes, view.rank).text);
    return nullptr;
  }
  if (tensor->allocation_type != kTfLiteMmapRo || tensor->data == nullptr) {
    reason_->Set("%s must be a constant of the file", name);
    return nullptr;
  }
  if (tensor->bytes != static_cast<size_t>(view.Elements()) * size) {
    reason_->Set("%s has %zu bytes, its shape needs %zu", name, tensor->bytes, view.Bytes());
    return nullptr;
  }
  if (!IsAligned(tensor->data, alignment)) {
    reason_->Set("%s is not aligned to %zu bytes", name, alignment);
    return nullptr;
  }
  return tensor->data;
}

void* Node::Data(const TfLiteTensor& tensor, const char* name, size_t bytes,
                 size_t alignment) const {
  if (tensor.data == nullptr || tensor.bytes < bytes) {
    reason_->Set("%s has %zu bytes, not the %zu it was prepared for", name,
                 tensor.data == nullptr ? 0 : tensor.bytes, bytes);
    return nullptr;
  }
  if (!IsAligned(tensor.data, alignment)) {
    reason_->Set("%s is not aligned to %zu bytes", name, alignment);
    return nullptr;
  }
  return tensor.data;
}

void* Node::Scratch(size_t bytes) const {
  char* data = static_cast<char*>(
      Data(context_->tensors[scratch_], "the scratch memory", bytes + kAlignment, 1));
  if (data == nullptr) return nullptr;
  return data + (kAlignment - reinterpret_cast<uintptr_t>(data) % kAlignment);
}

}  // namespace tfq
