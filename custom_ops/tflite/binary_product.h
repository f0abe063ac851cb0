// What TfqBconv2d and TfqBdense share: a binary product whose filter and output transform are
// constants of the file, repacked once.
#ifndef TFQ_TFLITE_BINARY_PRODUCT_H_
#define TFQ_TFLITE_BINARY_PRODUCT_H_

#include <stddef.h>
#include <stdint.h>

#include "kernels/bconv2d.h"
#include "tflite/node.h"

namespace tfq {

// words, filter, first, second; then lower, upper, sum_multiplier
constexpr int kProductMinInputs = 4;
constexpr int kProductMaxInputs = 7;

struct BinaryProduct {
  Bconv2dOptions options;  // channels_out and is_ternary are the filter's
  int32_t zero_point, low, high;

  Bconv2dPlan* plan;
  OutputTransform source_transform;  // what the plan was made of
  const void* source_filter;

  int32_t batch, height, width;  // of the input that was last prepared for
  size_t input_bytes, output_bytes, scratch_bytes;
};

// Reads the filter's shape into `options` and checks them.
bool CheckFilter(const Node& node, BinaryProduct* product);

// Checks that `words` are int32 with `planes * ceil(channels_in / 32)` in the last axis.
bool CheckWords(const Node& node, const BinaryProduct& product, const TensorView& words);

// Checks and repacks filter and transform, unless the plan has them already; then reserves what an
// input of `batch`, `height` and `width` needs, and gives the output the shape of `output`, whose
// last axis and type are set here.
bool PrepareProduct(Node* node, BinaryProduct* product, int32_t batch, int32_t height,
                    int32_t width, const TensorView& words, TensorView* output);

bool RunProduct(const Node& node, const BinaryProduct& product);

void ReleaseProduct(BinaryProduct* product);

}  // namespace tfq

#endif  // TFQ_TFLITE_BINARY_PRODUCT_H_
