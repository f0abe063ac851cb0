// Tiles of 7 rows x 4 vectors of 16 outputs, in halves of 7 x 2: 14 accumulators in registers leave
// room for what is on its way. XOR, VPOPCNTD and VPADDD are three operations for 512 products; a
// word of a row is broadcast once for a half. 7 divides the output positions of the usual images (7
// * 7 and its multiples by 4).
#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/bgemm_x86.h"
#include "kernels/transform_tile.h"

#define TFQ_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")))

namespace tfq {

namespace {

constexpr int kLanes = 16;
constexpr int kChannels = kAvx512PanelChannels;
constexpr int kVectors = kChannels / kLanes;
constexpr int kHalfChannels = 2 * kLanes;
constexpr int kHalves = kChannels / kHalfChannels;

template <int kRows, int kUsedVectors>
using Accumulators = __m512i[kRows][kUsedVectors];

// POP of one half, which begins at the vector `weights` of the panel.
template <int kRows, int kUsedVectors, bool kIsTernary>
TFQ_AVX512 TFQ_INLINE void Multiply(const BgemmTile& tile, const __m512i* panel,
                                    Accumulators<kRows, kUsedVectors>& acc) {
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kUsedVectors; ++v) acc[r][v] = _mm512_setzero_si512();
  }
  const int32_t* const offsets_end = tile.offsets + tile.num_words;
  for (int p = tile.planes - 1;; --p) {
    const uint32_t* rows[kRows];
    for (int r = 0; r < kRows; ++r) {
      rows[r] = tile.rows[r] + p * static_cast<ptrdiff_t>(tile.plane_stride);
    }
    const __m512i* weights = panel;
    for (const int32_t* offset = tile.offsets; offset != offsets_end; ++offset) {
      const ptrdiff_t word = *offset;
      for (int r = 0; r < kRows; ++r) {
        const __m512i a = _mm512_set1_epi32(static_cast<int>(rows[r][word]));
        for (int v = 0; v < kUsedVectors; ++v) {
          const __m512i signs = _mm512_load_si512(weights + v);
          __m512i bits;
          if (kIsTernary) {
            const __m512i mask = _mm512_load_si512(weights + kVectors + v);
            bits = _mm512_ternarylogic_epi32(a, signs, mask, 0x28);  // (a ^ signs) & mask
          } else {
            bits = _mm512_xor_si512(a, signs);
          }
          acc[r][v] = _mm512_add_epi32(acc[r][v], _mm512_popcnt_epi32(bits));
        }
      }
      weights += kIsTernary ? 2 * kVectors : kVectors;
    }
    if (p == 0) return;
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kUsedVectors; ++v) acc[r][v] = _mm512_add_epi32(acc[r][v], acc[r][v]);
    }
  }
}

template <int kRows, int kUsedVectors>
TFQ_AVX512 TFQ_INLINE void StorePacked(const BgemmTile& tile, int half,
                                       const Accumulators<kRows, kUsedVectors>& acc) {
  const uint32_t flips = tile.flips[half];
  const uint32_t channels = ChannelMask(tile.channels - half * kHalfChannels);
  auto* output = static_cast<uint32_t*>(tile.output) + half;
  for (int r = 0; r < kRows; ++r, output += tile.output_stride) {
    const int32_t* limits = tile.bases[r] + half * kHalfChannels;
    __mmask32 word = _mm512_cmpgt_epi32_mask(acc[r][0], _mm512_load_si512(limits));
    if (kUsedVectors == 2) {
      const __m512i high = _mm512_load_si512(limits + kLanes);
      // Joined as masks: GCC 12 may widen a spilled mask of 16 bits with what lies behind it.
      word = _mm512_kunpackw(_mm512_cmpgt_epi32_mask(acc[r][kUsedVectors - 1], high), word);
    }
    *output = (word ^ flips) & channels;
  }
}

// The tile as packed output, or as its POP.
template <int kRows, int kUsedVectors, bool kIsTernary>
TFQ_AVX512 void Tile(const BgemmTile& tile, int32_t (*pop)[kChannels]) {
  const int halves = tile.channels > kHalfChannels ? kHalves : 1;
  for (int half = 0; half < halves; ++half) {
    Accumulators<kRows, kUsedVectors> acc;
    const auto* panel = reinterpret_cast<const __m512i*>(tile.panel) + half * 2;
    Multiply<kRows, kUsedVectors, kIsTernary>(tile, panel, acc);
    if (tile.type == OutputType::kPacked) {
      StorePacked<kRows, kUsedVectors>(tile, half, acc);
      continue;
    }
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kUsedVectors; ++v) {
        _mm512_store_si512(pop[r] + half * kHalfChannels + v * kLanes, acc[r][v]);
      }
    }
  }
}

using TileFunction = void (*)(const BgemmTile&, int32_t (*)[kChannels]);

#define TFQ_TILES_OF_ROWS(vectors, is_ternary)                                               \
  {Tile<1, vectors, is_ternary>, Tile<2, vectors, is_ternary>, Tile<3, vectors, is_ternary>, \
   Tile<4, vectors, is_ternary>, Tile<5, vectors, is_ternary>, Tile<6, vectors, is_ternary>, \
   Tile<7, vectors, is_ternary>}

// By weights, vectors of a half, and rows.
constexpr TileFunction kTiles[2][2][kAvx512TileRows] = {
    {TFQ_TILES_OF_ROWS(1, false), TFQ_TILES_OF_ROWS(2, false)},
    {TFQ_TILES_OF_ROWS(1, true), TFQ_TILES_OF_ROWS(2, true)},
};

}  // namespace

TFQ_AVX512 void BgemmTileAvx512(const BgemmTile& tile) {
  alignas(64) int32_t pop[kAvx512TileRows][kChannels];
  kTiles[tile.is_ternary][tile.channels > kLanes][tile.num_rows - 1](tile, pop);
  if (tile.type != OutputType::kPacked) TransformTile<kLanes>(tile, pop[0], kChannels);
}

}  // namespace tfq

#endif  // defined(__x86_64__)
