// Values to bits: a set bit is -1, 32 channels a word, padding bits clear (see ../README.md).
#ifndef TFQ_KERNELS_BITPACK_H_
#define TFQ_KERNELS_BITPACK_H_

#include <stddef.h>
#include <stdint.h>

#include "kernels/isa.h"
#include "kernels/parallel.h"

namespace tfq {

constexpr int kWordBits = 32;
constexpr int kMaxPlanes = 4;

inline size_t WordsFor(size_t channels) { return (channels + kWordBits - 1) / kWordBits; }

// bit = values[r][c] < thresholds[c], or thresholds[0] if not `per_channel`.
void BitpackFloat(const Isa& isa, const float* values,  // rows x channels
                  size_t rows, size_t channels, const float* thresholds, bool per_channel,
                  uint32_t* words,  // rows x WordsFor(channels)
                  const Parallel& parallel);

void BitpackInt8(const Isa& isa, const int8_t* values,  // rows x channels
                 size_t rows, size_t channels, const int32_t* thresholds, bool per_channel,
                 uint32_t* words,  // rows x WordsFor(channels)
                 const Parallel& parallel);

// Plane p holds the complement of bit p of the code clamp(values[r][c] - lowest, 0, 2^planes - 1).
void BitpackPlanes(const Isa& isa, const int8_t* values,  // rows x channels
                   size_t rows, size_t channels, int planes, int lowest,
                   uint32_t* words,  // rows x planes x WordsFor(channels)
                   const Parallel& parallel);

}  // namespace tfq

#endif  // TFQ_KERNELS_BITPACK_H_
