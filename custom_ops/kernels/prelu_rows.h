// The parametric ReLU in plain C++, vectorized for the target of the function it is inlined into.
#ifndef TFQ_KERNELS_PRELU_ROWS_H_
#define TFQ_KERNELS_PRELU_ROWS_H_

#include "kernels/prelu.h"
#include "kernels/transform_tile.h"

namespace tfq {

TFQ_INLINE void PreluRows(const int8_t* __restrict input, size_t rows, size_t channels,
                          const PreluParameters& parameters, int8_t* __restrict output) {
  const int32_t* __restrict knee = parameters.knee;
  const float* __restrict above_multiplier = parameters.above_multiplier;
  const float* __restrict above_bias = parameters.above_bias;
  const float* __restrict below_multiplier = parameters.below_multiplier;
  const float* __restrict below_bias = parameters.below_bias;
  const float low = static_cast<float>(parameters.low);
  const float high = static_cast<float>(parameters.high);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < channels; ++c) {
      const int32_t x = input[r * channels + c];
      const float above = static_cast<float>(x) * above_multiplier[c] + above_bias[c];
      const float below = static_cast<float>(x) * below_multiplier[c] + below_bias[c];
      float y = x > knee[c] ? above : below;
      y = y > low ? y : low;  // a NaN becomes `low`
      y = y < high ? y : high;
      output[r * channels + c] =
          static_cast<int8_t>(static_cast<int32_t>((y + kRoundingShift) - kRoundingShift));
    }
  }
}

}  // namespace tfq

#endif  // TFQ_KERNELS_PRELU_ROWS_H_
