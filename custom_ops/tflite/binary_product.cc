#include "tflite/binary_product.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/bitpack.h"
#include "tflite/options.h"

namespace tfq {
namespace {

enum Input { kFilter = 1, kFirst, kSecond, kLower, kUpper, kSumMultiplier };

// Accumulators stay within this, so that the sum of both stays within 32 bits.
constexpr int32_t kMaxIntegerBias = 1 << 30;

int64_t WeightsPerChannel(const Bconv2dOptions& options) {
  return int64_t{options.kernel_height} * options.kernel_width *
         (options.channels_in / options.groups);
}

// Whether the bits behind the last of `bits` are clear in a row of bytes.
bool HasClearPadding(const uint8_t* row, int64_t bits) {
  return bits % 8 == 0 || row[bits / 8] >> (bits % 8) == 0;
}

const uint8_t* FilterOf(const Node& node, const Bconv2dOptions& options) {
  const int64_t weights = WeightsPerChannel(options);
  const int64_t sizes[] = {2, options.channels_out, (weights + 7) / 8};
  const uint8_t* filter = options.is_ternary
                              ? node.Constant<uint8_t>(kFilter, "the filter", sizes, 3)
                              : node.Constant<uint8_t>(kFilter, "the filter", sizes + 1, 2);
  if (filter == nullptr) return nullptr;
  const int64_t rows = (options.is_ternary ? 2 : 1) * sizes[1];
  for (int64_t row = 0; row < rows; ++row) {
    if (!HasClearPadding(filter + row * sizes[2], weights)) {
      node.reason()->Set("the filter has set bits behind the %lld of a channel",
                         static_cast<long long>(weights));
      return nullptr;
    }
  }
  if (options.is_ternary) {
    const int64_t bytes = sizes[1] * sizes[2];
    for (int64_t i = 0; i < bytes; ++i) {
      if (filter[i] & ~filter[bytes + i]) {
        node.reason()->Set("the filter has signs where its mask is clear");
        return nullptr;
      }
    }
  }
  return filter;
}

bool ReadOptionalVector(const Node& node, int position, const char* name, int32_t channels,
                        const float** values) {
  if (!node.HasInput(position)) return true;
  *values = node.ConstantVector<float>(position, name, channels);
  return *values != nullptr;
}

// For float32 and int8.
bool ReadScaling(const Node& node, int32_t channels, OutputTransform* transform) {
  transform->multiplier = node.ConstantVector<float>(kFirst, "the multiplier", channels);
  if (transform->multiplier == nullptr) return false;
  TensorView second;
  if (!node.ViewInput(kSecond, "the bias", &second)) return false;
  if (second.type == kTfLiteInt32) {
    const int32_t* bias = node.ConstantVector<int32_t>(kSecond, "the integer bias", channels);
    if (bias == nullptr) return false;
    for (int32_t i = 0; i < channels; ++i) {
      if (bias[i] < -kMaxIntegerBias || bias[i] > kMaxIntegerBias) {
        return node.reason()->Set("the integer bias must lie within +-2^30, not be %d", bias[i]);
      }
    }
    transform->integer_bias = bias;
  } else {
    transform->bias = node.ConstantVector<float>(kSecond, "the bias", channels);
    if (transform->bias == nullptr) return false;
  }
  return ReadOptionalVector(node, kLower, "the lower limit", channels, &transform->lower) &&
         ReadOptionalVector(node, kUpper, "the upper limit", channels, &transform->upper) &&
         ReadOptionalVector(node, kSumMultiplier, "the sum multiplier", channels,
                            &transform->sum_multiplier);
}

// For packed bits.
bool ReadThresholds(const Node& node, int32_t channels, OutputTransform* transform) {
  for (int position = kLower; position <= kSumMultiplier; ++position) {
    if (node.HasInput(position)) return node.reason()->Set("packed outputs take four inputs");
  }
  const int64_t words = static_cast<int64_t>(WordsFor(channels));
  transform->thresholds = node.ConstantVector<int32_t>(kFirst, "the thresholds", channels);
  if (transform->thresholds == nullptr) return false;
  transform->flips = node.ConstantVector<uint32_t>(kSecond, "the flips", words);
  if (transform->flips == nullptr) return false;
  const int used = channels % kWordBits;
  if (used != 0 && transform->flips[words - 1] >> used != 0) {
    return node.reason()->Set("the flips have set bits behind channel %d", channels - 1);
  }
  return true;
}

bool ReadTransform(const Node& node, const BinaryProduct& product, TfLiteType output_type,
                   OutputTransform* transform) {
  // Cleared byte by byte: transforms are compared as bytes.
  memset(static_cast<void*>(transform), 0, sizeof(*transform));
  transform->zero_point = product.zero_point;
  transform->low = product.low;
  transform->high = product.high;
  switch (output_type) {
    case kTfLiteFloat32:
      transform->type = OutputType::kFloat;
      break;
    case kTfLiteInt8:
      transform->type = OutputType::kInt8;
      break;
    case kTfLiteInt32:
      transform->type = OutputType::kPacked;
      break;
    default:
      return node.reason()->Set("the output must be float32, int8 or words, not %s",
                                TypeName(output_type));
  }
  if (transform->type == OutputType::kInt8) {
    if (product.low > product.high) {
      return node.reason()->Set("option `low`, %d, is above `high`, %d", product.low, product.high);
    }
  } else if (product.zero_point != 0 || product.low != 0 || product.high != 0) {
    return node.reason()->Set("options `zero_point`, `low` and `high` are for int8 outputs");
  }
  const int32_t channels = product.options.channels_out;
  return transform->type == OutputType::kPacked ? ReadThresholds(node, channels, transform)
                                                : ReadScaling(node, channels, transform);
}

bool MakePlan(const Node& node, BinaryProduct* product, const uint8_t* filter,
              const OutputTransform& transform) {
  if (product->plan != nullptr && filter == product->source_filter &&
      memcmp(&transform, &product->source_transform, sizeof(transform)) == 0) {
    return true;
  }
  ReleaseProduct(product);
  void* memory;
  const size_t bytes = Bconv2dPlanBytes(product->options, node.isa());
  if (posix_memalign(&memory, kAlignment, bytes) != 0) {
    return node.reason()->Set("there is no memory for %zu bytes of weights", bytes);
  }
  product->plan = Bconv2dPrepare(product->options, filter, transform, node.isa(), memory);
  product->source_filter = filter;
  memcpy(&product->source_transform, &transform, sizeof(transform));
  return true;
}

}  // namespace

bool CheckFilter(const Node& node, BinaryProduct* product) {
  TensorView filter;
  if (!node.ViewInput(kFilter, "the filter", &filter)) return false;
  if (filter.rank != 2 && filter.rank != 3) {
    return node.reason()->Set("the filter must have rank 2, or 3 if ternary, not %d", filter.rank);
  }
  Bconv2dOptions* options = &product->options;
  options->is_ternary = filter.rank == 3;
  options->channels_out = filter.sizes[filter.rank - 2];
  if (options->channels_out < 1 || options->channels_out > kMaxChannels) {
    return node.reason()->Set("the filter has %d output channels", options->channels_out);
  }
  const char* problem = CheckBconv2d(*options);
  if (problem != nullptr) return node.reason()->Set("%s", problem);
  return FilterOf(node, *options) != nullptr;
}

bool CheckWords(const Node& node, const BinaryProduct& product, const TensorView& words) {
  const Bconv2dOptions& options = product.options;
  const int64_t wanted = int64_t{options.planes} * WordsFor(options.channels_in);
  if (words.type != kTfLiteInt32) {
    return node.reason()->Set("the input must be int32 words, not %s", TypeName(words.type));
  }
  if (words.Last() != wanted) {
    return node.reason()->Set("%d channels in %d planes are %lld words a position, not %d",
                              options.channels_in, options.planes, static_cast<long long>(wanted),
                              words.Last());
  }
  return true;
}

bool PrepareProduct(Node* node, BinaryProduct* product, int32_t batch, int32_t height,
                    int32_t width, const TensorView& words, TensorView* output) {
  TensorView declared;
  if (!node->ViewOutput(&declared)) return false;
  OutputTransform transform;
  if (!ReadTransform(*node, *product, declared.type, &transform)) return false;
  const uint8_t* filter = FilterOf(*node, product->options);
  if (filter == nullptr || !MakePlan(*node, product, filter, transform)) return false;

  const bool is_empty = output->Rows() == 0;
  const size_t scratch = is_empty ? 0
                                  : Bconv2dScratchBytes(*product->plan, batch, height, width,
                                                        node->parallel().num_threads);
  if (scratch == SIZE_MAX) return node->reason()->Set("the input is too large");
  if (!node->ReserveScratch(scratch)) return false;

  const int32_t channels = product->options.channels_out;
  output->type = declared.type;
  output->sizes[output->rank - 1] =
      transform.type == OutputType::kPacked ? static_cast<int32_t>(WordsFor(channels)) : channels;
  if (!node->ResizeOutput(*output)) return false;
  product->batch = batch;
  product->height = height;
  product->width = width;
  product->input_bytes = words.Bytes();
  product->output_bytes = output->Bytes();
  product->scratch_bytes = scratch;
  return true;
}

bool RunProduct(const Node& node, const BinaryProduct& product) {
  if (product.output_bytes == 0) return true;
  const uint32_t* words = node.InputData<uint32_t>(0, "the input", product.input_bytes);
  uint32_t* output = node.OutputData<uint32_t>(product.output_bytes);
  void* scratch = node.Scratch(product.scratch_bytes);
  if (words == nullptr || output == nullptr || scratch == nullptr) return false;
  Bconv2dRun(*product.plan, words, product.batch, product.height, product.width, output, scratch,
             node.parallel());
  return true;
}

void ReleaseProduct(BinaryProduct* product) {
  free(product->plan);
  product->plan = nullptr;
}

}  // namespace tfq
