// The output transform of a tile, float or int8, from the POP of its rows (formulas in
// ../README.md).
//
// One source for every ISA: it is written in vectors of kLanes that the compiler lowers to the
// target of the function it is inlined into. The constants of kLanes channels stay in registers for
// all rows.
#ifndef TFQ_KERNELS_TRANSFORM_TILE_H_
#define TFQ_KERNELS_TRANSFORM_TILE_H_

#include <stdint.h>

#include "kernels/bgemm.h"
#include "kernels/inline.h"

namespace tfq {

// From 2^23 to 2^24 floats are the integers: y + 1.5 * 2^23 is y rounded half to even for |y| <
// 2^22, and in its bits, beside those of 1.5 * 2^23, stands the integer itself.
constexpr float kRoundingShift = 12582912.0f;
constexpr int32_t kRoundingShiftBits = 0x4B400000;

template <int kLanes>
struct Vectors {
  typedef float Floats __attribute__((vector_size(kLanes * 4)));
  typedef int32_t Ints __attribute__((vector_size(kLanes * 4)));
  typedef uint32_t Words __attribute__((vector_size(kLanes * 4)));
  typedef int16_t Shorts __attribute__((vector_size(kLanes * 2)));
  typedef int8_t Bytes __attribute__((vector_size(kLanes)));
};

template <typename Vector, typename T>
TFQ_INLINE void LoadVector(const T* from, Vector* to) {
  __builtin_memcpy(to, from, sizeof(*to));
}

// Compilers narrow by half well, and by a quarter where the target has an instruction for it.
template <int kLanes>
TFQ_INLINE typename Vectors<kLanes>::Bytes Narrow(const typename Vectors<kLanes>::Ints& ints) {
  using Bytes = typename Vectors<kLanes>::Bytes;
  if constexpr (kLanes == 16) {
    return __builtin_convertvector(ints, Bytes);
  } else {
    const auto shorts = __builtin_convertvector(ints, typename Vectors<kLanes>::Shorts);
    return __builtin_convertvector(shorts, Bytes);
  }
}

// kLanes channels from `c` on, for all rows. T: float or int8_t.
template <int kLanes, typename T, bool kHasClamp, bool kHasSums>
TFQ_INLINE void TransformBlock(const BgemmTile& tile, int c, const int32_t* pop, int stride,
                               T* output, size_t output_stride) {
  using Floats = typename Vectors<kLanes>::Floats;
  using Ints = typename Vectors<kLanes>::Ints;
  using Words = typename Vectors<kLanes>::Words;
  const Floats low = Floats{} + tile.low, high = Floats{} + tile.high;
  const Ints bits_of_zero = Ints{} + (kRoundingShiftBits - tile.zero_point);
  const int shift = tile.shift, num_rows = tile.num_rows;
  Floats multiplier, bias, lower, upper, sum_multiplier;
  LoadVector(tile.multiplier + c, &multiplier);
  LoadVector(tile.bias + c, &bias);
  if (kHasClamp) {
    LoadVector(tile.lower + c, &lower);
    LoadVector(tile.upper + c, &upper);
  }
  if (kHasSums) LoadVector(tile.sum_multiplier + c, &sum_multiplier);
  for (int r = 0; r < num_rows; ++r, pop += stride, output += output_stride) {
    Words base, pops;
    LoadVector(tile.bases[r] + c, &base);
    LoadVector(pop + c, &pops);
    // Unsigned: an integer bias may wrap around. Between vectors of one size a cast keeps the bits.
    const Words acc = base - (pops << shift);
    Floats y = __builtin_convertvector(Ints(acc), Floats);
    if (kHasClamp) {
      y = y > lower ? y : lower;
      y = y < upper ? y : upper;
    }
    y = y * multiplier;
    y = y + bias;
    if (kHasSums) y = y + tile.window_sums[r] * sum_multiplier;
    if constexpr (sizeof(T) == 1) {
      y = y > low ? y : low;  // a NaN becomes `low`
      y = y < high ? y : high;
      y = y + kRoundingShift;
      const auto codes = Narrow<kLanes>(Ints(y) - bits_of_zero);
      __builtin_memcpy(output, &codes, sizeof(codes));
    } else {
      __builtin_memcpy(output, &y, sizeof(y));
    }
  }
}

template <int kLanes, typename T, bool kHasClamp, bool kHasSums>
TFQ_INLINE void TransformTileOfKind(const BgemmTile& tile, const int32_t* pop, int stride) {
  T* output = static_cast<T*>(tile.output);
  const int whole = tile.channels / kLanes * kLanes;
  for (int c = 0; c < whole; c += kLanes) {
    TransformBlock<kLanes, T, kHasClamp, kHasSums>(tile, c, pop, stride, output + c,
                                                   tile.output_stride);
  }
  if (whole == tile.channels) return;
  T block[kMaxTileRows * kLanes];
  TransformBlock<kLanes, T, kHasClamp, kHasSums>(tile, whole, pop, stride, block, kLanes);
  for (int r = 0; r < tile.num_rows; ++r, output += tile.output_stride) {
    for (int c = whole; c < tile.channels; ++c) output[c] = block[r * kLanes + c - whole];
  }
}

template <int kLanes, typename T>
TFQ_INLINE void TransformTileOfType(const BgemmTile& tile, const int32_t* pop, int stride) {
  const bool has_clamp = tile.lower != nullptr;
  if (tile.sum_multiplier != nullptr) {
    if (has_clamp) return TransformTileOfKind<kLanes, T, true, true>(tile, pop, stride);
    return TransformTileOfKind<kLanes, T, false, true>(tile, pop, stride);
  }
  if (has_clamp) return TransformTileOfKind<kLanes, T, true, false>(tile, pop, stride);
  TransformTileOfKind<kLanes, T, false, false>(tile, pop, stride);
}

// pop: num_rows x stride, of which the panel's channels are read in whole vectors.
template <int kLanes>
TFQ_INLINE void TransformTile(const BgemmTile& tile, const int32_t* pop, int stride) {
  if (tile.type == OutputType::kInt8) return TransformTileOfType<kLanes, int8_t>(tile, pop, stride);
  TransformTileOfType<kLanes, float>(tile, pop, stride);
}

// Which of 32 channels there are, of `channels` that are left.
TFQ_INLINE uint32_t ChannelMask(int channels) {
  return channels >= 32 ? ~0u : channels <= 0 ? 0 : (1u << channels) - 1;
}

}  // namespace tfq

#endif  // TFQ_KERNELS_TRANSFORM_TILE_H_
