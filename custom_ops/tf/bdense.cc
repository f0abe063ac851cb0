// TfqBdense: product of packed or float32 rows with a packed matrix (../README.md).
#include "kernels/bdense.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op.h"
#include "tf/product.h"

namespace tfq {
namespace {

using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

absl::Status BdenseShape(InferenceContext* c) {
  ShapeHandle x, output;
  TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(kX), 1, &x));
  DimensionHandle depth;
  TF_RETURN_IF_ERROR(OutputDepth(c, &depth));
  if (!c->RankKnown(x)) {
    c->set_output(0, c->UnknownShape());
    return absl::OkStatus();
  }
  TF_RETURN_IF_ERROR(c->ReplaceDim(x, -1, depth, &output));
  c->set_output(0, output);
  return absl::OkStatus();
}

REGISTER_OP("TfqBdense").TFQ_PRODUCT_SIGNATURE.SetShapeFn(BdenseShape).Doc(R"doc(
Multiplies bits, or bit planes, by a binary or ternary matrix.

x: words of shape (..., planes * ceil(channels_in / 32)), or float32 values of shape
  (..., channels_in), of which -1 becomes what is below `input_thresholds`.
input_thresholds: one, or one a channel; not used with words.
filter: shape (units, bytes), or (2, units, bytes) if ternary.
first: multipliers, or thresholds for packed outputs.
second: bias, integer bias, or flips as words for packed outputs.
y: float32 or int8 of shape (..., units), or words of shape (..., ceil(units / 32)).
)doc");

class BdenseOp : public ProductOp {
 public:
  explicit BdenseOp(OpKernelConstruction* context) : ProductOp(context) {
    OP_REQUIRES_OK(context, context->GetAttr("channels_in", &channels_in_));
  }

  void Compute(OpKernelContext* context) override {
    Bconv2dOptions options = BdenseOptions(channels_in_, 1, 1, false, false);
    OP_REQUIRES_OK(context, Complete(context, &options));
    const Tensor& x = context->input(kX);
    OP_REQUIRES(context, x.dims() >= 1 && x.dim_size(x.dims() - 1) == InputDepth(options),
                Error(absl::StrCat("the last axis of x must be ", InputDepth(options),
                                   ", not as in ", x.shape().DebugString())));
    const int64_t rows = x.NumElements() / InputDepth(options);
    OP_REQUIRES(context, rows <= std::numeric_limits<int32_t>::max(),
                Error(absl::StrCat("x has too many rows: ", rows)));
    tensorflow::TensorShape shape = x.shape();
    shape.RemoveLastDims(1);
    OP_REQUIRES_OK(context, Run(context, options, 1, 1, rows, shape));
  }

 private:
  int channels_in_;
};

REGISTER_KERNEL_BUILDER(Name("TfqBdense").Device(tensorflow::DEVICE_CPU), BdenseOp);

}  // namespace
}  // namespace tfq
