// TfqBdense (words, filter, first, second, lower?, upper?, sum_multiplier?) -> y
#include "kernels/bdense.h"

#include "kernels/bitpack.h"
#include "tflite/binary_product.h"
#include "tflite/operator.h"
#include "tflite/options.h"

namespace tfq {
namespace {

bool ReadBdenseOptions(const void* bytes, size_t size, void* state, Reason* reason) {
  BinaryProduct* product = static_cast<BinaryProduct*>(state);
  int32_t channels_in, planes, codes;
  const Option options[] = {
      {"channels_in", &channels_in, 1, kMaxChannels},
      {"planes", &planes, 1, kMaxPlanes},
      {"codes", &codes, 0, 1},
      {"zero_point", &product->zero_point, INT8_MIN, INT8_MAX},
      {"low", &product->low, INT8_MIN, INT8_MAX},
      {"high", &product->high, INT8_MIN, INT8_MAX},
  };
  if (!ReadOptions(bytes, size, options, reason)) return false;
  // The number of units and whether it is ternary come with the filter.
  product->options = BdenseOptions(channels_in, 0, planes, codes != 0, false);
  return true;
}

bool PrepareBdense(Node* node, void* state) {
  BinaryProduct* product = static_cast<BinaryProduct*>(state);
  TensorView words;
  if (!node->CheckCounts(kProductMinInputs, kProductMaxInputs) || !CheckFilter(*node, product) ||
      !node->ViewInput(0, "the input", &words)) {
    return false;
  }
  if (words.rank < 1) return node->reason()->Set("the input must have rank 1 or more");
  if (!CheckWords(*node, *product, words)) return false;
  const int64_t rows = words.Rows();
  if (rows > INT32_MAX) return node->reason()->Set("the input is too large");
  TensorView output = words;
  return PrepareProduct(node, product, 1, 1, static_cast<int32_t>(rows), words, &output);
}

bool InvokeBdense(const Node& node, void* state) {
  return RunProduct(node, *static_cast<BinaryProduct*>(state));
}

void ReleaseBdense(void* state) { ReleaseProduct(static_cast<BinaryProduct*>(state)); }

}  // namespace

const Operator kBdenseOperator = {
    "TfqBdense",   sizeof(BinaryProduct), /*needs_scratch=*/true, ReadBdenseOptions,
    PrepareBdense, InvokeBdense,          ReleaseBdense,
};

}  // namespace tfq
