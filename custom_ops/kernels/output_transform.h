// What becomes of an accumulator, inside the tile (formulas in ../README.md).
#ifndef TFQ_KERNELS_OUTPUT_TRANSFORM_H_
#define TFQ_KERNELS_OUTPUT_TRANSFORM_H_

#include <stdint.h>

namespace tfq {

enum class OutputType { kFloat, kInt8, kPacked };

// Pointers are to one value a channel; null where optional and absent.
struct OutputTransform {
  OutputType type;
  // float32 and int8
  const float* multiplier;
  const float* bias;              // null counts as 0
  const int32_t* integer_bias;    // null counts as 0
  const float* lower;             // null is -infinity
  const float* upper;             // null is +infinity
  const float* sum_multiplier;    // null counts as 0
  int32_t zero_point, low, high;  // int8
  // packed
  const int32_t* thresholds;
  const uint32_t* flips;  // WordsFor(channels)
};

}  // namespace tfq

#endif  // TFQ_KERNELS_OUTPUT_TRANSFORM_H_
