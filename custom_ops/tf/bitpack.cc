// TfqBitpack: values to packed words (../README.md).
#include "kernels/bitpack.h"

#include "absl/strings/str_cat.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tf/host_pool.h"
#include "tf/require_isa.h"

namespace tfq {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

absl::Status BitpackShape(InferenceContext* c) {
  ShapeHandle x;
  TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 1, &x));
  int planes;
  TF_RETURN_IF_ERROR(c->GetAttr("planes", &planes));
  DimensionHandle words = c->UnknownDim();
  const DimensionHandle channels = c->Dim(x, -1);
  if (c->ValueKnown(channels)) words = c->MakeDim(planes * WordsFor(c->Value(channels)));
  ShapeHandle output;
  TF_RETURN_IF_ERROR(c->ReplaceDim(x, -1, words, &output));
  c->set_output(0, output);
  return absl::OkStatus();
}

REGISTER_OP("TfqBitpack")
    .Input("x: T")
    .Input("thresholds: Threshold")
    .Output("words: int32")
    .Attr("T: {float, int8}")
    .Attr("Threshold: {float, int32}")
    .Attr("planes: int >= 1 = 1")
    .Attr("lowest: int = 0")
    .SetShapeFn(BitpackShape)
    .Doc(R"doc(
Packs the last axis of `x`: with one plane the bits `x < threshold`, with more the bit planes of the
codes `x - lowest`.

x: shape (..., channels), float32 with float32 thresholds, or int8 with int32 thresholds.
thresholds: one, or one a channel; none with more than one plane.
words: shape (..., planes * ceil(channels / 32)).
)doc");

class BitpackOp : public OpKernel {
 public:
  explicit BitpackOp(OpKernelConstruction* context) : OpKernel(context), isa_(RequireIsa(context)) {
    OP_REQUIRES_OK(context, context->GetAttr("planes", &planes_));
    OP_REQUIRES_OK(context, context->GetAttr("lowest", &lowest_));
    const bool is_float = context->input_type(0) == tensorflow::DT_FLOAT;
    OP_REQUIRES(context, planes_ <= kMaxPlanes,
                absl::InvalidArgumentError(absl::StrCat("TfqBitpack: planes must be 1 to ",
                                                        kMaxPlanes, ", not ", planes_)));
    OP_REQUIRES(context, planes_ == 1 || !is_float,
                absl::InvalidArgumentError("TfqBitpack: bit planes are made of int8, not float32"));
    OP_REQUIRES(
        context, is_float == (context->input_type(1) == tensorflow::DT_FLOAT),
        absl::InvalidArgumentError(
            "TfqBitpack: thresholds must be float32 for float32 values, int32 for int8 values"));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    const Tensor& thresholds = context->input(1);
    OP_REQUIRES(context, x.dims() >= 1,
                absl::InvalidArgumentError("TfqBitpack: x must have at least one axis"));
    const int64_t channels = x.dim_size(x.dims() - 1);
    const bool per_channel = thresholds.NumElements() != 1;
    OP_REQUIRES(
        context,
        planes_ > 1 ? thresholds.NumElements() == 0
                    : !per_channel || thresholds.NumElements() == channels,
        absl::InvalidArgumentError(absl::StrCat(
            "TfqBitpack: thresholds must be one, or one for each of the ", channels,
            " channels, and none with more than one plane, not ", thresholds.NumElements())));

    tensorflow::TensorShape shape = x.shape();
    shape.set_dim(x.dims() - 1, planes_ * WordsFor(channels));
    Tensor* output = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &output));
    if (output->NumElements() == 0) return;

    const size_t rows = x.NumElements() / channels;
    auto* words = reinterpret_cast<uint32_t*>(output->flat<int32_t>().data());
    const Parallel parallel = HostPool(context);
    if (x.dtype() == tensorflow::DT_FLOAT) {
      BitpackFloat(*isa_, x.flat<float>().data(), rows, channels, thresholds.flat<float>().data(),
                   per_channel, words, parallel);
    } else if (planes_ == 1) {
      BitpackInt8(*isa_, x.flat<int8_t>().data(), rows, channels, thresholds.flat<int32_t>().data(),
                  per_channel, words, parallel);
    } else {
      BitpackPlanes(*isa_, x.flat<int8_t>().data(), rows, channels, planes_, lowest_, words,
                    parallel);
    }
  }

 private:
  const Isa* isa_;
  int planes_;
  int lowest_;
};

REGISTER_KERNEL_BUILDER(Name("TfqBitpack").Device(tensorflow::DEVICE_CPU), BitpackOp);

}  // namespace
}  // namespace tfq
