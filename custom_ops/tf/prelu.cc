// TfqPrelu: a parametric ReLU on int8 codes (../README.md).
#include "kernels/prelu.h"

#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tf/host_pool.h"
#include "tf/require_isa.h"

namespace tfq {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;

REGISTER_OP("TfqPrelu")
    .Input("x: int8")
    .Input("knee: int32")
    .Input("above_multiplier: float")
    .Input("above_bias: float")
    .Input("below_multiplier: float")
    .Input("below_bias: float")
    .Output("y: int8")
    .Attr("low: int = -128")
    .Attr("high: int = 127")
    .SetShapeFn(tensorflow::shape_inference::UnchangedShape)
    .Doc(R"doc(
Parametric ReLU by channel: rint(x * multiplier + bias), clamped to low .. high, with the pair
`above` where `x > knee`, else the pair `below`.

x: shape (..., channels); every other input has the shape (channels,).
)doc");

class PreluOp : public OpKernel {
 public:
  explicit PreluOp(OpKernelConstruction* context) : OpKernel(context), isa_(RequireIsa(context)) {
    OP_REQUIRES_OK(context, context->GetAttr("low", &low_));
    OP_REQUIRES_OK(context, context->GetAttr("high", &high_));
    OP_REQUIRES(
        context, -128 <= low_ && low_ <= high_ && high_ <= 127,
        absl::InvalidArgumentError(absl::StrCat(
            "TfqPrelu: low and high must be a range within int8, not ", low_, " .. ", high_)));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    OP_REQUIRES(context, x.dims() >= 1,
                absl::InvalidArgumentError("TfqPrelu: x must have at least one axis"));
    const int64_t channels = x.dim_size(x.dims() - 1);
    for (int i = 1; i < context->num_inputs(); ++i) {
      OP_REQUIRES(context, context->input(i).NumElements() == channels,
                  absl::InvalidArgumentError(
                      absl::StrCat("TfqPrelu: input ", i, " must have one value for each of the ",
                                   channels, " channels, not ", context->input(i).NumElements())));
    }
    Tensor* output = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &output));
    if (output->NumElements() == 0) return;
    const auto values = [&](int i) { return context->input(i).flat<float>().data(); };
    const PreluParameters parameters = {context->input(1).flat<int32_t>().data(),
                                        values(2),
                                        values(3),
                                        values(4),
                                        values(5),
                                        low_,
                                        high_};
    Prelu(*isa_, x.flat<int8_t>().data(), x.NumElements() / channels, channels, parameters,
          output->flat<int8_t>().data(), HostPool(context));
  }

 private:
  const Isa* isa_;
  int low_;
  int high_;
};

REGISTER_KERNEL_BUILDER(Name("TfqPrelu").Device(tensorflow::DEVICE_CPU), PreluOp);

}  // namespace
}  // namespace tfq
