// TfqBmaxpool: maximum of packed values (../README.md).
#include "kernels/bmaxpool.h"

#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tf/host_pool.h"
#include "tf/image_size.h"
#include "tf/require_isa.h"

namespace tfq {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// `Context` is the construction of an op or its shape inference.
template <typename Context>
absl::Status ReadOptions(Context* context, BmaxpoolOptions* options) {
  int padding;
  TF_RETURN_IF_ERROR(context->GetAttr("kernel_height", &options->kernel_height));
  TF_RETURN_IF_ERROR(context->GetAttr("kernel_width", &options->kernel_width));
  TF_RETURN_IF_ERROR(context->GetAttr("stride_height", &options->stride_height));
  TF_RETURN_IF_ERROR(context->GetAttr("stride_width", &options->stride_width));
  TF_RETURN_IF_ERROR(context->GetAttr("padding", &padding));
  if (padding != 0 && padding != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("TfqBmaxpool: padding must be 0 (VALID) or 1 (SAME), not ", padding));
  }
  options->is_same = padding == 1;
  const char* reason = CheckBmaxpool(*options);
  return reason == nullptr ? absl::OkStatus()
                           : absl::InvalidArgumentError(absl::StrCat("TfqBmaxpool: ", reason));
}

absl::Status BmaxpoolShape(InferenceContext* c) {
  BmaxpoolOptions options;
  TF_RETURN_IF_ERROR(ReadOptions(c, &options));
  ShapeHandle words;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &words));
  return SetImageShape(c, words, {options.kernel_height, options.stride_height, 1},
                       {options.kernel_width, options.stride_width, 1}, options.is_same,
                       c->Dim(words, 3));
}

REGISTER_OP("TfqBmaxpool")
    .Input("words: int32")
    .Output("y: int32")
    .Attr("kernel_height: int")
    .Attr("kernel_width: int")
    .Attr("stride_height: int")
    .Attr("stride_width: int")
    .Attr("padding: int")
    .SetShapeFn(BmaxpoolShape)
    .Doc(R"doc(
Maximum of packed values +1 and -1 in each window.

words: shape (batch, height, width, words).
y: shape (batch, out_height, out_width, words).
padding: 0 VALID, 1 SAME.
)doc");

class BmaxpoolOp : public OpKernel {
 public:
  explicit BmaxpoolOp(OpKernelConstruction* context)
      : OpKernel(context), isa_(RequireIsa(context)) {
    OP_REQUIRES_OK(context, ReadOptions(context, &options_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& words = context->input(0);
    OP_REQUIRES_OK(context, CheckImage(words, "TfqBmaxpool"));
    int32_t height, width;
    const char* reason =
        BmaxpoolOutputSize(options_, words.dim_size(1), words.dim_size(2), &height, &width);
    OP_REQUIRES(context, reason == nullptr,
                absl::InvalidArgumentError(absl::StrCat("TfqBmaxpool: ", reason)));
    Tensor* output = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(
                                0, {words.dim_size(0), height, width, words.dim_size(3)}, &output));
    if (output->NumElements() == 0) return;
    BmaxpoolRun(*isa_, options_, reinterpret_cast<const uint32_t*>(words.flat<int32_t>().data()),
                words.dim_size(0), words.dim_size(1), words.dim_size(2), words.dim_size(3),
                reinterpret_cast<uint32_t*>(output->flat<int32_t>().data()), HostPool(context));
  }

 private:
  const Isa* isa_;
  BmaxpoolOptions options_;
};

REGISTER_KERNEL_BUILDER(Name("TfqBmaxpool").Device(tensorflow::DEVICE_CPU), BmaxpoolOp);

}  // namespace
}  // namespace tfq
