#include "tf/product.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "kernels/bitpack.h"
#include "tf/host_pool.h"
#include "tf/require_isa.h"

namespace tfq {

using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

namespace {

// Null if the input is empty.
template <typename T>
const T* Values(OpKernelContext* context, int input) {
  const Tensor& tensor = context->input(input);
  return tensor.NumElements() == 0 ? nullptr : tensor.flat<T>().data();
}

}  // namespace

absl::Status OutputDepth(InferenceContext* c, DimensionHandle* depth) {
  tensorflow::DataType type;
  TF_RETURN_IF_ERROR(c->GetAttr("output_type", &type));
  ShapeHandle filter;
  TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(kFilter), 2, &filter));
  *depth = c->UnknownDim();
  if (!c->RankKnown(filter)) return absl::OkStatus();
  const DimensionHandle channels = c->Dim(filter, -2);
  if (type != tensorflow::DT_INT32) {
    *depth = channels;
  } else if (c->ValueKnown(channels)) {
    *depth = c->MakeDim(WordsFor(c->Value(channels)));
  }
  return absl::OkStatus();
}

ProductOp::ProductOp(OpKernelConstruction* context) : OpKernel(context), isa_(RequireIsa(context)) {
  OP_REQUIRES_OK(context, context->GetAttr("planes", &planes_));
  OP_REQUIRES_OK(context, context->GetAttr("codes", &has_codes_));
  OP_REQUIRES_OK(context, context->GetAttr("zero_point", &transform_.zero_point));
  OP_REQUIRES_OK(context, context->GetAttr("low", &transform_.low));
  OP_REQUIRES_OK(context, context->GetAttr("high", &transform_.high));
  has_words_ = context->input_type(kX) == tensorflow::DT_INT32;
  is_integer_bias_ = context->input_type(kSecond) == tensorflow::DT_INT32;
  const tensorflow::DataType type = context->output_type(0);
  const bool is_packed = type == tensorflow::DT_INT32;
  transform_.type = is_packed                     ? OutputType::kPacked
                    : type == tensorflow::DT_INT8 ? OutputType::kInt8
                                                  : OutputType::kFloat;

  OP_REQUIRES(context, has_words_ || (planes_ == 1 && !has_codes_),
              Error("float32 inputs are packed as values +1 and -1, so planes must be 1 and codes "
                    "false"));
  OP_REQUIRES(context, (context->input_type(kFirst) == tensorflow::DT_INT32) == is_packed,
              Error("first must be int32 thresholds for packed outputs, else float32 multipliers"));
  OP_REQUIRES(context, is_integer_bias_ || !is_packed,
              Error("second must be the flips as int32 words for packed outputs"));
  OP_REQUIRES(context,
              -128 <= transform_.low && transform_.low <= transform_.high &&
                  transform_.high <= 127 && -128 <= transform_.zero_point &&
                  transform_.zero_point <= 127,
              Error("zero_point must be, and low .. high must be a range, within int8"));
}

absl::Status ProductOp::Error(const std::string& reason) const {
  return absl::InvalidArgumentError(absl::StrCat(type_string(), ": ", reason));
}

int64_t ProductOp::InputDepth(const Bconv2dOptions& options) const {
  return has_words_ ? options.planes * static_cast<int64_t>(WordsFor(options.channels_in))
                    : options.channels_in;
}

absl::Status ProductOp::Complete(OpKernelContext* context, Bconv2dOptions* options) {
  const Tensor& filter = context->input(kFilter);
  options->is_ternary = filter.dims() == 3;
  if (filter.dims() != (options->is_ternary ? 3 : 2) ||
      (options->is_ternary && filter.dim_size(0) != 2) ||
      filter.dim_size(filter.dims() - 2) > std::numeric_limits<int32_t>::max()) {
    return Error(
        absl::StrCat("filter must have the shape (channels_out, bytes), or (2, "
                     "channels_out, bytes) if ternary, not ",
                     filter.shape().DebugString()));
  }
  options->channels_out = filter.dim_size(filter.dims() - 2);
  options->planes = planes_;
  options->has_codes = has_codes_;
  if (const char* reason = CheckBconv2d(*options)) return Error(reason);
  const int64_t expected = Bconv2dFilterBytes(*options);
  if (filter.NumElements() != expected) {
    return Error(absl::StrCat("filter must have ", expected, " bytes, not ", filter.NumElements()));
  }
  return absl::OkStatus();
}

absl::Status ProductOp::Transform(OpKernelContext* context, int32_t channels_out,
                                  OutputTransform* transform) const {
  const bool is_packed = transform_.type == OutputType::kPacked;
  const int64_t flip_words = WordsFor(channels_out);
  for (int i = kFirst; i < kNumInputs; ++i) {
    const int64_t count = context->input(i).NumElements();
    const int64_t expected = is_packed && i == kSecond ? flip_words : channels_out;
    const bool is_required = i == kFirst || (is_packed && i == kSecond);
    const bool is_allowed = is_required || !is_packed;
    if ((count == 0 && is_required) || (count != 0 && !is_allowed) ||
        (count != 0 && count != expected)) {
      return Error(absl::StrCat("input ", i, " must have ", is_allowed ? expected : 0,
                                " values, not ", count));
    }
  }
  *transform = transform_;
  if (is_packed) {
    transform->thresholds = Values<int32_t>(context, kFirst);
    transform->flips = reinterpret_cast<const uint32_t*>(Values<int32_t>(context, kSecond));
    return absl::OkStatus();
  }
  transform->multiplier = Values<float>(context, kFirst);
  if (is_integer_bias_) {
    transform->integer_bias = Values<int32_t>(context, kSecond);
  } else {
    transform->bias = Values<float>(context, kSecond);
  }
  transform->lower = Values<float>(context, kLower);
  transform->upper = Values<float>(context, kUpper);
  transform->sum_multiplier = Values<float>(context, kSumMultiplier);
  return absl::OkStatus();
}

absl::Status ProductOp::Plan(OpKernelContext* context, const Bconv2dOptions& options,
                             std::shared_ptr<const KeptPlan>* plan) {
  const auto is_made_of_these = [&](const KeptPlan& kept) {
    if (kept.options.channels_out != options.channels_out ||
        kept.options.is_ternary != options.is_ternary) {
      return false;
    }
    for (int i = kFilter; i < kNumInputs; ++i) {
      if (context->input(i).tensor_data() != kept.contents[i - kFilter]) return false;
    }
    return true;
  };
  const std::lock_guard<std::mutex> lock(mutex_);
  if (kept_ == nullptr || !is_made_of_these(*kept_)) {
    OutputTransform transform;
    TF_RETURN_IF_ERROR(Transform(context, options.channels_out, &transform));
    auto made = std::make_shared<KeptPlan>();
    made->options = options;
    for (int i = kFilter; i < kNumInputs; ++i) {
      made->contents.emplace_back(context->input(i).tensor_data());
    }
    void* memory = nullptr;
    if (posix_memalign(&memory, kAlignment, Bconv2dPlanBytes(options, *isa_)) != 0) {
      return absl::ResourceExhaustedError(absl::StrCat(type_string(), ": no memory for weights"));
    }
    made->memory.reset(memory);
    made->plan = Bconv2dPrepare(options, context->input(kFilter).flat<uint8_t>().data(), transform,
                                *isa_, memory);
    kept_ = std::move(made);
  }
  *plan = kept_;  // kept alive by the caller even where another step replaces it
  return absl::OkStatus();
}

absl::Status ProductOp::Words(OpKernelContext* context, const Bconv2dOptions& options,
                              Tensor* words) const {
  const Tensor& x = context->input(kX);
  if (has_words_) {
    *words = x;
    return absl::OkStatus();
  }
  const Tensor& thresholds = context->input(kInputThresholds);
  const bool per_channel = thresholds.NumElements() != 1;
  if (per_channel && thresholds.NumElements() != options.channels_in) {
    return Error(absl::StrCat("input_thresholds must be one, or one for each of the ",
                              options.channels_in, " channels, not ", thresholds.NumElements()));
  }
  const int64_t rows = x.NumElements() / options.channels_in;
  const int64_t depth = WordsFor(options.channels_in);
  TF_RETURN_IF_ERROR(context->allocate_temp(tensorflow::DT_INT32, {rows, depth}, words));
  BitpackFloat(*isa_, x.flat<float>().data(), rows, options.channels_in,
               thresholds.flat<float>().data(), per_channel,
               reinterpret_cast<uint32_t*>(words->flat<int32_t>().data()), HostPool(context));
  return absl::OkStatus();
}

absl::Status ProductOp::Run(OpKernelContext* context, const Bconv2dOptions& options, int32_t batch,
                            int32_t height, int32_t width, tensorflow::TensorShape output_shape) {
  output_shape.AddDim(transform_.type == OutputType::kPacked ? WordsFor(options.channels_out)
                                                             : options.channels_out);
  std::shared_ptr<const KeptPlan> kept;
  TF_RETURN_IF_ERROR(Plan(context, options, &kept));
  Tensor* output = nullptr;
  TF_RETURN_IF_ERROR(context->allocate_output(0, output_shape, &output));
  if (output->NumElements() == 0) return absl::OkStatus();

  Tensor words;
  TF_RETURN_IF_ERROR(Words(context, options, &words));
  const Parallel parallel = HostPool(context);
  const size_t bytes = Bconv2dScratchBytes(*kept->plan, batch, height, width, parallel.num_threads);
  if (bytes > static_cast<size_t>(std::numeric_limits<int64_t>::max())) {
    return Error(
        absl::StrCat("the input is too large: ", context->input(kX).shape().DebugString()));
  }
  // TensorFlow aligns its memory as the kernels need it.
  static_assert(tensorflow::Allocator::kAllocatorAlignment % kAlignment == 0);
  Tensor scratch;
  TF_RETURN_IF_ERROR(
      context->allocate_temp(tensorflow::DT_UINT8, {static_cast<int64_t>(bytes)}, &scratch));
  Bconv2dRun(*kept->plan, reinterpret_cast<const uint32_t*>(words.flat<int32_t>().data()), batch,
             height, width, output->data(), scratch.data(), parallel);
  return absl::OkStatus();
}

}  // namespace tfq
