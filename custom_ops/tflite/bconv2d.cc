// TfqBconv2d (words, filter, first, second, lower?, upper?, sum_multiplier?) -> y
#include "kernels/bconv2d.h"

#include "kernels/bitpack.h"
#include "tflite/binary_product.h"
#include "tflite/operator.h"
#include "tflite/options.h"

namespace tfq {
namespace {

bool ReadBconv2dOptions(const void* bytes, size_t size, void* state, Reason* reason) {
  BinaryProduct* product = static_cast<BinaryProduct*>(state);
  Bconv2dOptions* conv = &product->options;
  int32_t padding, codes;
  const Option options[] = {
      {"channels_in", &conv->channels_in, 1, kMaxChannels},
      {"kernel_height", &conv->kernel_height, 1, kMaxSize},
      {"kernel_width", &conv->kernel_width, 1, kMaxSize},
      {"stride_height", &conv->stride_height, 1, kMaxSize},
      {"stride_width", &conv->stride_width, 1, kMaxSize},
      {"dilation_height", &conv->dilation_height, 1, kMaxSize},
      {"dilation_width", &conv->dilation_width, 1, kMaxSize},
      {"groups", &conv->groups, 1, kMaxChannels},
      {"padding", &padding, 0, 2},
      {"planes", &conv->planes, 1, kMaxPlanes},
      {"codes", &codes, 0, 1},
      {"zero_point", &product->zero_point, INT8_MIN, INT8_MAX},
      {"low", &product->low, INT8_MIN, INT8_MAX},
      {"high", &product->high, INT8_MIN, INT8_MAX},
  };
  if (!ReadOptions(bytes, size, options, reason)) return false;
  conv->padding = static_cast<Padding>(padding);
  conv->has_codes = codes != 0;
  return true;
}

bool PrepareBconv2d(Node* node, void* state) {
  BinaryProduct* product = static_cast<BinaryProduct*>(state);
  TensorView words;
  if (!node->CheckCounts(kProductMinInputs, kProductMaxInputs) || !CheckFilter(*node, product) ||
      !node->ViewInput(0, "the input", &words)) {
    return false;
  }
  if (words.rank != 4) return node->reason()->Set("the input must have rank 4, not %d", words.rank);
  if (!CheckWords(*node, *product, words)) return false;
  const int32_t batch = words.sizes[0], height = words.sizes[1], width = words.sizes[2];
  TensorView output = {};
  output.rank = 4;
  output.sizes[0] = batch;
  const char* problem =
      Bconv2dOutputSize(product->options, height, width, &output.sizes[1], &output.sizes[2]);
  if (problem != nullptr) return node->reason()->Set("%s", problem);
  return PrepareProduct(node, product, batch, height, width, words, &output);
}

bool InvokeBconv2d(const Node& node, void* state) {
  return RunProduct(node, *static_cast<BinaryProduct*>(state));
}

void ReleaseBconv2d(void* state) { ReleaseProduct(static_cast<BinaryProduct*>(state)); }

}  // namespace

const Operator kBconv2dOperator = {
    "TfqBconv2d",   sizeof(BinaryProduct), /*needs_scratch=*/true, ReadBconv2dOptions,
    PrepareBconv2d, InvokeBconv2d,         ReleaseBconv2d,
};

}  // namespace tfq
