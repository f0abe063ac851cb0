// TfqBconv2d: convolution of packed or float32 inputs with a packed filter (../README.md).
#include "kernels/bconv2d.h"

#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op.h"
#include "tf/image_size.h"
#include "tf/product.h"

namespace tfq {
namespace {

using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// `Context` is the construction of an op or its shape inference.
template <typename Context>
absl::Status ReadGeometry(Context* context, Bconv2dOptions* options) {
  int padding;
  TF_RETURN_IF_ERROR(context->GetAttr("channels_in", &options->channels_in));
  TF_RETURN_IF_ERROR(context->GetAttr("kernel_height", &options->kernel_height));
  TF_RETURN_IF_ERROR(context->GetAttr("kernel_width", &options->kernel_width));
  TF_RETURN_IF_ERROR(context->GetAttr("stride_height", &options->stride_height));
  TF_RETURN_IF_ERROR(context->GetAttr("stride_width", &options->stride_width));
  TF_RETURN_IF_ERROR(context->GetAttr("dilation_height", &options->dilation_height));
  TF_RETURN_IF_ERROR(context->GetAttr("dilation_width", &options->dilation_width));
  TF_RETURN_IF_ERROR(context->GetAttr("groups", &options->groups));
  TF_RETURN_IF_ERROR(context->GetAttr("padding", &padding));
  if (padding < 0 || padding > 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "TfqBconv2d: padding must be 0 (VALID), 1 (SAME_ONE) or 2 (SAME_ZERO), not ", padding));
  }
  options->padding = static_cast<Padding>(padding);
  return absl::OkStatus();
}

absl::Status Bconv2dShape(InferenceContext* c) {
  Bconv2dOptions options;
  TF_RETURN_IF_ERROR(ReadGeometry(c, &options));
  ShapeHandle x;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(kX), 4, &x));
  DimensionHandle depth;
  TF_RETURN_IF_ERROR(OutputDepth(c, &depth));
  return SetImageShape(c, x,
                       {options.kernel_height, options.stride_height, options.dilation_height},
                       {options.kernel_width, options.stride_width, options.dilation_width},
                       options.padding != Padding::kValid, depth);
}

REGISTER_OP("TfqBconv2d")
    .TFQ_PRODUCT_SIGNATURE.Attr("kernel_height: int")
    .Attr("kernel_width: int")
    .Attr("stride_height: int = 1")
    .Attr("stride_width: int = 1")
    .Attr("dilation_height: int = 1")
    .Attr("dilation_width: int = 1")
    .Attr("groups: int = 1")
    .Attr("padding: int")
    .SetShapeFn(Bconv2dShape)
    .Doc(R"doc(
Convolves bits, or bit planes, with a binary or ternary filter.

x: words of shape (batch, height, width, planes * ceil(channels_in / 32)), or float32 values of shape
  (batch, height, width, channels_in), of which -1 becomes what is below `input_thresholds`.
input_thresholds: one, or one a channel; not used with words.
filter: shape (channels_out, bytes), or (2, channels_out, bytes) if ternary.
first: multipliers, or thresholds for packed outputs.
second: bias, integer bias, or flips as words for packed outputs.
y: float32 or int8 of shape (batch, out_height, out_width, channels_out), or words of shape
  (batch, out_height, out_width, ceil(channels_out / 32)).
padding: 0 VALID, 1 SAME_ONE, 2 SAME_ZERO.
)doc");

class Bconv2dOp : public ProductOp {
 public:
  explicit Bconv2dOp(OpKernelConstruction* context) : ProductOp(context) {
    OP_REQUIRES_OK(context, ReadGeometry(context, &geometry_));
  }

  void Compute(OpKernelContext* context) override {
    Bconv2dOptions options = geometry_;
    OP_REQUIRES_OK(context, Complete(context, &options));
    const Tensor& x = context->input(kX);
    OP_REQUIRES_OK(context, CheckImage(x, "TfqBconv2d"));
    OP_REQUIRES(context, x.dim_size(3) == InputDepth(options),
                Error(absl::StrCat("the last axis of x must be ", InputDepth(options), ", not ",
                                   x.dim_size(3))));
    int32_t height, width;
    const char* reason = Bconv2dOutputSize(options, x.dim_size(1), x.dim_size(2), &height, &width);
    OP_REQUIRES(context, reason == nullptr, Error(reason));
    OP_REQUIRES_OK(context, Run(context, options, x.dim_size(0), x.dim_size(1), x.dim_size(2),
                                {x.dim_size(0), height, width}));
  }

 private:
  Bconv2dOptions geometry_ = {};
};

REGISTER_KERNEL_BUILDER(Name("TfqBconv2d").Device(tensorflow::DEVICE_CPU), Bconv2dOp);

}  // namespace
}  // namespace tfq
