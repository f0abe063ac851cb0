// The parametric ReLU for every ISA, in vectors of kLanes as transform_tile.h.
#ifndef TFQ_KERNELS_PRELU_ROWS_H_
#define TFQ_KERNELS_PRELU_ROWS_H_

#include "kernels/prelu.h"
#include "kernels/transform_tile.h"

namespace tfq {

// Channels c to c + kLanes of all rows, which are `stride` values apart.
template <int kLanes>
TFQ_INLINE void PreluBlock(const int8_t* input, size_t rows, size_t stride, size_t c,
                           const PreluParameters& p, int8_t* output) {
  using Floats = typename Vectors<kLanes>::Floats;
  using Ints = typename Vectors<kLanes>::Ints;
  Ints knee;
  Floats above_multiplier, above_bias, below_multiplier, below_bias;
  LoadVector(p.knee + c, &knee);
  LoadVector(p.above_multiplier + c, &above_multiplier);
  LoadVector(p.above_bias + c, &above_bias);
  LoadVector(p.below_multiplier + c, &below_multiplier);
  LoadVector(p.below_bias + c, &below_bias);
  const Floats low = Floats{} + static_cast<float>(p.low);
  const Floats high = Floats{} + static_cast<float>(p.high);
  const Ints bits_of_zero = Ints{} + kRoundingShiftBits;
  for (size_t r = 0; r < rows; ++r, input += stride, output += stride) {
    typename Vectors<kLanes>::Bytes bytes;
    LoadVector(input, &bytes);
    // In two steps, which compilers know better than one.
    const auto shorts = __builtin_convertvector(bytes, typename Vectors<kLanes>::Shorts);
    const Ints x = __builtin_convertvector(shorts, Ints);
    const Floats value = __builtin_convertvector(x, Floats);
    const Floats above = value * above_multiplier + above_bias;
    const Floats below = value * below_multiplier + below_bias;
    Floats y = x > knee ? above : below;
    y = y > low ? y : low;  // a NaN becomes `low`
    y = y < high ? y : high;
    y = y + kRoundingShift;
    const auto codes = Narrow<kLanes>(Ints(y) - bits_of_zero);
    __builtin_memcpy(output, &codes, sizeof(codes));
  }
}

template <int kLanes>
TFQ_INLINE void PreluRows(const int8_t* input, size_t rows, size_t channels,
                          const PreluParameters& p, int8_t* output) {
  const size_t whole = channels / kLanes * kLanes;
  for (size_t c = 0; c < whole; c += kLanes) {
    PreluBlock<kLanes>(input + c, rows, channels, c, p, output + c);
  }
  const size_t rest = channels - whole;
  if (rest == 0) return;
  // The ragged end in full vectors of its own.
  int32_t knee[kLanes] = {};
  float constants[4][kLanes] = {};
  const float* const arrays[4] = {p.above_multiplier, p.above_bias, p.below_multiplier,
                                  p.below_bias};
  for (size_t c = 0; c < rest; ++c) {
    knee[c] = p.knee[whole + c];
    for (int i = 0; i < 4; ++i) constants[i][c] = arrays[i][whole + c];
  }
  const PreluParameters end = {knee,         constants[0], constants[1], constants[2],
                               constants[3], p.low,        p.high};
  for (size_t r = 0; r < rows; ++r) {
    int8_t values[kLanes] = {};
    for (size_t c = 0; c < rest; ++c) values[c] = input[r * channels + whole + c];
    PreluBlock<kLanes>(values, 1, kLanes, 0, end, values);
    for (size_t c = 0; c < rest; ++c) output[r * channels + whole + c] = values[c];
  }
}

}  // namespace tfq

#endif  // TFQ_KERNELS_PRELU_ROWS_H_
