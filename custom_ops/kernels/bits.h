// Bits in words and in bytes, least significant first.
#ifndef TFQ_KERNELS_BITS_H_
#define TFQ_KERNELS_BITS_H_

#include <stddef.h>
#include <stdint.h>

namespace tfq {

// Without a library call or a popcount instruction; loops over it are vectorized.
inline int32_t CountBits(uint32_t x) {
  x = x - ((x >> 1) & 0x55555555u);
  x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
  x = (x + (x >> 4)) & 0x0F0F0F0Fu;
  x = x + (x >> 8);
  return static_cast<int32_t>((x + (x >> 16)) & 0x3Fu);
}

// The true bits of the last word of `channels`, from 1.
inline uint32_t LastWordMask(size_t channels) { return ~0u >> ((32 - channels % 32) % 32); }

// The `count` bits, 1 to 32, from bit `first` on; no byte behind the last one is read.
inline uint32_t ReadBits(const uint8_t* bytes, size_t first, int count) {
  const uint8_t* byte = bytes + first / 8;
  const int shift = static_cast<int>(first % 8);
  uint64_t bits = 0;
  for (int i = 0; i * 8 < shift + count; ++i) bits |= static_cast<uint64_t>(byte[i]) << (8 * i);
  return static_cast<uint32_t>((bits >> shift) & ((uint64_t{1} << count) - 1));
}

// Sets the `count` bits, 1 to 32, from bit `first` on, which were clear.
inline void SetBits(uint32_t* words, size_t first, int count, uint32_t bits) {
  const int shift = static_cast<int>(first % 32);
  words[first / 32] |= bits << shift;
  if (shift + count > 32) words[first / 32 + 1] |= bits >> (32 - shift);
}

}  // namespace tfq

#endif  // TFQ_KERNELS_BITS_H_
