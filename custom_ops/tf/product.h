// What convolution and dense layer share: the inputs behind `x`, the attributes of the output and
// the plan, whose weights are repacked only when they change.
//
// Inputs: x, input_thresholds, filter, first, second, lower, upper, sum_multiplier. A missing one
// is empty. `x` holds words, or float32 values that are packed by `input_thresholds`.
#ifndef TFQ_TF_PRODUCT_H_
#define TFQ_TF_PRODUCT_H_

#include <stdlib.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/bconv2d.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace tfq {

enum ProductInput {
  kX,
  kInputThresholds,
  kFilter,
  kFirst,
  kSecond,
  kLower,
  kUpper,
  kSumMultiplier,
  kNumInputs
};

// Memory as the kernels align it.
struct FreeMemory {
  void operator()(void* memory) const { free(memory); }
};
using AlignedMemory = std::unique_ptr<void, FreeMemory>;

// A plan and the inputs that it was made of.
struct KeptPlan {
  Bconv2dOptions options;
  std::vector<std::string> contents;  // of kFilter and what follows
  AlignedMemory memory;
  Bconv2dPlan* plan;
};

class ProductOp : public tensorflow::OpKernel {
 public:
  explicit ProductOp(tensorflow::OpKernelConstruction* context);

 protected:
  // Completes `options` by what the attributes and the filter say, and checks them.
  absl::Status Complete(tensorflow::OpKernelContext* context, Bconv2dOptions* options);

  // Computes an image; the output is `output_shape` with the channels added.
  absl::Status Run(tensorflow::OpKernelContext* context, const Bconv2dOptions& options,
                   int32_t batch, int32_t height, int32_t width,
                   tensorflow::TensorShape output_shape);

  // What the last axis of `x` must be, in words or channels.
  int64_t InputDepth(const Bconv2dOptions& options) const;

  absl::Status Error(const std::string& reason) const;

 private:
  absl::Status Transform(tensorflow::OpKernelContext* context, int32_t channels_out,
                         OutputTransform* transform) const;
  absl::Status Plan(tensorflow::OpKernelContext* context, const Bconv2dOptions& options,
                    std::shared_ptr<const KeptPlan>* plan);
  absl::Status Words(tensorflow::OpKernelContext* context, const Bconv2dOptions& options,
                     tensorflow::Tensor* words) const;

  const Isa* isa_;
  int planes_;
  bool has_codes_;
  OutputTransform transform_ = {};  // without the pointers
  bool has_words_;                  // in `x`
  bool is_integer_bias_;
  std::mutex mutex_;
  std::shared_ptr<const KeptPlan> kept_;  // guarded by the mutex
};

// The depth of the output as far as the filter is known.
absl::Status OutputDepth(tensorflow::shape_inference::InferenceContext* c,
                         tensorflow::shape_inference::DimensionHandle* depth);

}  // namespace tfq

// Inputs and attributes of both ops behind `x` and the geometry.
#define TFQ_PRODUCT_SIGNATURE                    \
  Input("x: T")                                  \
      .Input("input_thresholds: float")          \
      .Input("filter: uint8")                    \
      .Input("first: First")                     \
      .Input("second: Second")                   \
      .Input("lower: float")                     \
      .Input("upper: float")                     \
      .Input("sum_multiplier: float")            \
      .Output("y: output_type")                  \
      .Attr("T: {int32, float}")                 \
      .Attr("First: {int32, float}")             \
      .Attr("Second: {int32, float}")            \
      .Attr("output_type: {float, int8, int32}") \
      .Attr("channels_in: int")                  \
      .Attr("planes: int = 1")                   \
      .Attr("codes: bool = false")               \
      .Attr("zero_point: int = 0")               \
      .Attr("low: int = -128")                   \
      .Attr("high: int = 127")

#endif  // TFQ_TF_PRODUCT_H_
