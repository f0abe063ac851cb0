// Sizes of images, in the shape functions and in the ops.
#ifndef TFQ_TF_IMAGE_SIZE_H_
#define TFQ_TF_IMAGE_SIZE_H_

#include <limits>

#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/framework/tensor.h"

namespace tfq {

// The kernels count positions in 32 bits.
inline absl::Status CheckImage(const tensorflow::Tensor& image, const char* op) {
  bool fits = image.dims() == 4;
  for (int axis = 0; fits && axis < 4; ++axis) {
    fits = image.dim_size(axis) <= std::numeric_limits<int32_t>::max();
  }
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(op, ": the input must have the shape (batch, height, width, channels), not ",
                   image.shape().DebugString()));
}

// A window along one axis.
struct Window {
  int size, stride, dilation;
};

// Sets the output's shape to (batch, out_height, out_width, channels), unknown where the input's
// is.
inline absl::Status SetImageShape(tensorflow::shape_inference::InferenceContext* c,
                                  tensorflow::shape_inference::ShapeHandle input, Window vertical,
                                  Window horizontal, bool is_same,
                                  tensorflow::shape_inference::DimensionHandle channels) {
  const auto padding = is_same ? tensorflow::Padding::SAME : tensorflow::Padding::VALID;
  tensorflow::shape_inference::DimensionHandle sizes[2];
  const Window windows[2] = {vertical, horizontal};
  for (int i = 0; i < 2; ++i) {
    TF_RETURN_IF_ERROR(tensorflow::shape_inference::GetWindowedOutputSizeFromDimsV2(
        c, c->Dim(input, 1 + i), windows[i].size, windows[i].dilation, windows[i].stride, padding,
        /*padding_before=*/0, /*padding_after=*/0, &sizes[i]));
  }
  c->set_output(0, c->MakeShape({c->Dim(input, 0), sizes[0], sizes[1], channels}));
  return absl::OkStatus();
}

}  // namespace tfq

#endif  // TFQ_TF_IMAGE_SIZE_H_
