// The tile on NEON: 2 rows x 32 channels, whose 16 accumulators stay in registers.
//
// A vector holds a word of four channels. Each of its bytes counts its own bits (EOR, CNT, ADD:
// three instructions for 128 products), until 31 words have brought it to at most 248; pairwise
// additions then make one sum of the four bytes of a channel. Two vector pipes bound this at 85.3
// products a cycle (../../benchmarks/neon_throughput.md).
#if defined(__aarch64__)

#include "kernels/neon.h"
#include "kernels/transform_tile.h"

namespace tfq {

namespace {

constexpr int kVectors = kNeonPanelChannels / 4;
constexpr int kMaxByteWords = 255 / 8;

struct Sums {
  alignas(16) int32_t pop[kNeonTileRows][kNeonPanelChannels];
};

// The word in all lanes. Hiding where it comes from keeps it on its way through a general register,
// from which a pipe of its own (Cortex-A76 and later) copies it; a replicating load, or a copy from
// another vector, would take one of the two pipes that count.
TFQ_INLINE uint8x16_t Broadcast(uint32_t word) {
  asm("" : "+r"(word));
  return vreinterpretq_u8_u32(vdupq_n_u32(word));
}

// Adds the POP of words `begin` to `end`, at most kMaxByteWords.
template <int kRows, bool kIsTernary>
TFQ_INLINE void AddWords(const BgemmTile& tile, const uint32_t* const* rows, int32_t begin,
                         int32_t end, Sums* sums) {
  constexpr int kSignBytes = kNeonPanelChannels * sizeof(uint32_t);
  constexpr int kWordBytes = kSignBytes * (kIsTernary ? 2 : 1);
  uint8x16_t counts[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) counts[r][v] = vdupq_n_u8(0);
  }
  const uint8_t* weights = tile.panel + begin * static_cast<ptrdiff_t>(kWordBytes);
  const int32_t* offset = tile.offsets + begin;
  const int32_t* const last = tile.offsets + end;
  for (; offset != last; ++offset, weights += kWordBytes) {
    uint8x16_t a[kRows];
    for (int r = 0; r < kRows; ++r) a[r] = Broadcast(rows[r][*offset]);
    for (int v = 0; v < kVectors; ++v) {
      const uint8x16_t signs = vld1q_u8(weights + 16 * v);
      for (int r = 0; r < kRows; ++r) {
        uint8x16_t bits = veorq_u8(a[r], signs);
        if (kIsTernary) bits = vandq_u8(bits, vld1q_u8(weights + kSignBytes + 16 * v));
        counts[r][v] = vaddq_u8(counts[r][v], vcntq_u8(bits));
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      uint32_t* pop = reinterpret_cast<uint32_t*>(&sums->pop[r][4 * v]);
      vst1q_u32(pop, vpadalq_u16(vld1q_u32(pop), vpaddlq_u8(counts[r][v])));
    }
  }
}

template <int kRows, bool kIsTernary>
void Product(const BgemmTile& tile, Sums* sums) {
  for (int r = 0; r < kRows; ++r) {
    for (int c = 0; c < kNeonPanelChannels; ++c) sums->pop[r][c] = 0;
  }
  for (int p = tile.planes - 1; p >= 0; --p) {
    const uint32_t* rows[kRows];
    for (int r = 0; r < kRows; ++r) {
      rows[r] = tile.rows[r] + p * static_cast<ptrdiff_t>(tile.plane_stride);
      for (int c = 0; c < kNeonPanelChannels; ++c) sums->pop[r][c] *= 2;
    }
    for (int32_t begin = 0; begin < tile.num_words; begin += kMaxByteWords) {
      const int32_t left = tile.num_words - begin;
      const int32_t end = begin + (left < kMaxByteWords ? left : kMaxByteWords);
      AddWords<kRows, kIsTernary>(tile, rows, begin, end, sums);
    }
  }
}

uint32_t PackRow(const BgemmTile& tile, int row, const int32_t* pop) {
  const int32_t* limits = tile.bases[row];
  uint32x4_t masks[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    masks[v] = vcgtq_s32(vld1q_s32(pop + 4 * v), vld1q_s32(limits + 4 * v));
  }
  const uint32_t word = WordOfMasks(NarrowMasks(masks), NarrowMasks(masks + 4));
  return (word ^ tile.flips[0]) & ChannelMask(tile.channels);
}

template <int kRows>
void Tile(const BgemmTile& tile) {
  Sums sums;
  if (tile.is_ternary) {
    Product<kRows, true>(tile, &sums);
  } else {
    Product<kRows, false>(tile, &sums);
  }
  if (tile.type != OutputType::kPacked) {
    return TransformTile<4>(tile, sums.pop[0], kNeonPanelChannels);
  }
  for (int r = 0; r < kRows; ++r) {
    static_cast<uint32_t*>(tile.output)[r * tile.output_stride] = PackRow(tile, r, sums.pop[r]);
  }
}

}  // namespace

void BgemmTileNeon(const BgemmTile& tile) {
  if (tile.num_rows == kNeonTileRows) return Tile<kNeonTileRows>(tile);
  Tile<1>(tile);
}

}  // namespace tfq

#endif  // defined(__aarch64__)
