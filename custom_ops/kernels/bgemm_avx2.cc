// Tiles of 4 rows x 64 outputs by table look-up: VPSHUFB answers for 32 outputs at once how many of
// 4 bits differ. That is two operations (look up, add) for 128 products, where XOR and a popcount
// by VPSHUFB take eight for 256.
//
// A panel holds 4 bits of the weights in a byte, an output a byte: for each of the eight nibbles of
// a word, least significant first, kChannels bytes. For the nibble a of a row there is a table of
// 16 entries, popcount(a ^ w) for w = 0 .. 15. Ternary weights look up twice, with the +1 as one
// index and the -1 as the other: popcount((a ^ sign) & mask) = popcount(a & plus) + popcount(~a &
// minus).
//
// Counts of up to 4 (of both look-ups together, too) are added in bytes, for up to 7 words
// (7 * 8 * 4 = 224), then in 16 bits, for up to 292 times that (65,408), then in 32 bits.
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "kernels/bgemm_x86.h"
#include "kernels/transform_tile.h"

#define TFQ_AVX2 __attribute__((target("avx2")))

namespace tfq {

namespace {

constexpr int kChannels = kAvx2PanelChannels;
constexpr int kVectors = kChannels / 32;
constexpr int kNibbles = 8;  // of a word
constexpr int kWordsInBytes = 7;
constexpr int kBlocksIn16Bits = 292;

// Two tables for the two nibbles of each byte of a row, side by side.
struct alignas(32) NibbleTables {
  uint8_t low[16], high[16];
};

struct Tables {
  NibbleTables both[256];   // popcount(a ^ w)
  NibbleTables plus[256];   // popcount(a & w)
  NibbleTables minus[256];  // popcount(~a & w)
};

constexpr int CountNibble(int nibble) {
  return (nibble & 1) + (nibble >> 1 & 1) + (nibble >> 2 & 1) + (nibble >> 3 & 1);
}

constexpr Tables MakeTables() {
  Tables tables = {};
  for (int a = 0; a < 256; ++a) {
    for (int w = 0; w < 16; ++w) {
      const int low = a & 15, high = a >> 4;
      tables.both[a].low[w] = static_cast<uint8_t>(CountNibble(low ^ w));
      tables.both[a].high[w] = static_cast<uint8_t>(CountNibble(high ^ w));
      tables.plus[a].low[w] = static_cast<uint8_t>(CountNibble(low & w));
      tables.plus[a].high[w] = static_cast<uint8_t>(CountNibble(high & w));
      tables.minus[a].low[w] = static_cast<uint8_t>(CountNibble(~low & w));
      tables.minus[a].high[w] = static_cast<uint8_t>(CountNibble(~high & w));
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

TFQ_AVX2 TFQ_INLINE __m256i Table(const uint8_t* table) {
  return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(table)));
}

// Compilers collect sums to reorder them, and spill what they collect. This ends a sum here.
TFQ_AVX2 TFQ_INLINE void KeepOrder(__m256i* sum) { __asm__("" : "+x"(*sum)); }

template <int kRows, int kUsedVectors>
using Counts = __m256i[kRows][kUsedVectors];

// Adds what the tables say for one byte of every row and two nibbles of the weights.
template <int kRows, int kUsedVectors>
TFQ_AVX2 TFQ_INLINE void LookUp(const NibbleTables* tables, const uint8_t* const* bytes,
                                const uint8_t* nibbles, Counts<kRows, kUsedVectors>& counts) {
  const auto* low = reinterpret_cast<const __m256i*>(nibbles);
  const auto* high = low + kVectors;
  for (int r = 0; r < kRows; ++r) {
    const NibbleTables& pair = tables[*bytes[r]];
    const __m256i low_table = Table(pair.low), high_table = Table(pair.high);
    for (int v = 0; v < kUsedVectors; ++v) {
      const __m256i first = _mm256_shuffle_epi8(low_table, _mm256_load_si256(low + v));
      const __m256i second = _mm256_shuffle_epi8(high_table, _mm256_load_si256(high + v));
      counts[r][v] = _mm256_add_epi8(counts[r][v], _mm256_add_epi8(first, second));
      KeepOrder(&counts[r][v]);
    }
  }
}

// The counts of up to kWordsInBytes words, from 0.
template <int kRows, int kUsedVectors, bool kIsTernary>
TFQ_AVX2 TFQ_INLINE void CountWords(const uint32_t* const* rows, const int32_t* offsets,
                                    int num_words, const uint8_t* panel,
                                    Counts<kRows, kUsedVectors>& counts) {
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kUsedVectors; ++v) counts[r][v] = _mm256_setzero_si256();
  }
  for (int k = 0; k < num_words; ++k) {
    for (int byte = 0; byte < 4; ++byte) {
      const uint8_t* bytes[kRows];
      for (int r = 0; r < kRows; ++r) {
        bytes[r] = reinterpret_cast<const uint8_t*>(rows[r] + offsets[k]) + byte;
      }
      if (kIsTernary) {
        LookUp<kRows, kUsedVectors>(kTables.plus, bytes, panel, counts);
        LookUp<kRows, kUsedVectors>(kTables.minus, bytes, panel + 2 * kChannels, counts);
      } else {
        LookUp<kRows, kUsedVectors>(kTables.both, bytes, panel, counts);
      }
      panel += (kIsTernary ? 4 : 2) * kChannels;
    }
  }
}

// Even and odd channels of a vector of 32, in 16 bits; memory of the tile.
template <int kRows, int kUsedVectors>
struct Sums16 {
  __m256i even[kRows][kUsedVectors], odd[kRows][kUsedVectors];
};

// POP of the tile, into pop[row][channel].
template <int kRows, int kUsedVectors, bool kIsTernary>
TFQ_AVX2 void Multiply(const BgemmTile& tile, int32_t (*pop)[kChannels]) {
  constexpr int kWordBytes = (kIsTernary ? 2 : 1) * kNibbles * kChannels;
  const __m256i low_bytes = _mm256_set1_epi16(0xFF);
  for (int p = tile.planes - 1; p >= 0; --p) {
    const uint32_t* rows[kRows];
    for (int r = 0; r < kRows; ++r) {
      rows[r] = tile.rows[r] + p * static_cast<ptrdiff_t>(tile.plane_stride);
    }
    const bool is_first = p == tile.planes - 1;
    for (int r = 0; r < kRows; ++r) {
      for (int c = 0; c < kUsedVectors * 32; ++c) pop[r][c] = is_first ? 0 : 2 * pop[r][c];
    }
    for (int32_t k = 0; k < tile.num_words;) {
      Sums16<kRows, kUsedVectors> sums = {};
      for (int block = 0; block < kBlocksIn16Bits && k < tile.num_words; ++block) {
        const int32_t rest = tile.num_words - k;
        const int num_words = rest < kWordsInBytes ? rest : kWordsInBytes;
        Counts<kRows, kUsedVectors> counts;
        CountWords<kRows, kUsedVectors, kIsTernary>(
            rows, tile.offsets + k, num_words, tile.panel + size_t{1} * k * kWordBytes, counts);
        for (int r = 0; r < kRows; ++r) {
          for (int v = 0; v < kUsedVectors; ++v) {
            const __m256i even = _mm256_and_si256(counts[r][v], low_bytes);
            const __m256i odd = _mm256_srli_epi16(counts[r][v], 8);
            sums.even[r][v] = _mm256_add_epi16(sums.even[r][v], even);
            sums.odd[r][v] = _mm256_add_epi16(sums.odd[r][v], odd);
          }
        }
        k += num_words;
      }
      for (int r = 0; r < kRows; ++r) {
        for (int v = 0; v < kUsedVectors; ++v) {
          // Of each half of 16 channels: even and odd interleaved, then widened.
          const __m256i first = _mm256_unpacklo_epi16(sums.even[r][v], sums.odd[r][v]);
          const __m256i second = _mm256_unpackhi_epi16(sums.even[r][v], sums.odd[r][v]);
          const __m128i eights[4] = {_mm256_castsi256_si128(first), _mm256_castsi256_si128(second),
                                     _mm256_extracti128_si256(first, 1),
                                     _mm256_extracti128_si256(second, 1)};
          for (int i = 0; i < 4; ++i) {
            auto* to = reinterpret_cast<__m256i*>(pop[r] + v * 32 + i * 8);
            *to = _mm256_add_epi32(*to, _mm256_cvtepu16_epi32(eights[i]));
          }
        }
      }
    }
  }
}

using TileFunction = void (*)(const BgemmTile&, int32_t (*)[kChannels]);

#define TFQ_TILES_OF_ROWS(vectors, is_ternary)                         \
  {Multiply<1, vectors, is_ternary>, Multiply<2, vectors, is_ternary>, \
   Multiply<3, vectors, is_ternary>, Multiply<4, vectors, is_ternary>}

// By weights, vectors and rows.
constexpr TileFunction kTiles[2][kVectors][kAvx2TileRows] = {
    {TFQ_TILES_OF_ROWS(1, false), TFQ_TILES_OF_ROWS(2, false)},
    {TFQ_TILES_OF_ROWS(1, true), TFQ_TILES_OF_ROWS(2, true)},
};

TFQ_AVX2 void StorePacked(const BgemmTile& tile, const int32_t (*pop)[kChannels]) {
  for (int r = 0; r < tile.num_rows; ++r) {
    uint32_t* output = static_cast<uint32_t*>(tile.output) + r * tile.output_stride;
    for (int first = 0; first < tile.channels; first += 32) {
      uint32_t word = 0;
      for (int c = 0; c < 32; c += 8) {
        const auto* pops = reinterpret_cast<const __m256i*>(pop[r] + first + c);
        const auto* limits = reinterpret_cast<const __m256i*>(tile.bases[r] + first + c);
        const __m256i is_above =
            _mm256_cmpgt_epi32(_mm256_load_si256(pops), _mm256_load_si256(limits));
        word |= static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(is_above))) << c;
      }
      output[first / 32] = (word ^ tile.flips[first / 32]) & ChannelMask(tile.channels - first);
    }
  }
}

}  // namespace

TFQ_AVX2 void BgemmTileAvx2(const BgemmTile& tile) {
  alignas(32) int32_t pop[kAvx2TileRows][kChannels];
  kTiles[tile.is_ternary][tile.channels > 32][tile.num_rows - 1](tile, pop);
  if (tile.type == OutputType::kPacked) {
    StorePacked(tile, pop);
  } else {
    TransformTile<8>(tile, pop[0], kChannels);
  }
}

void PackPanelWordAvx2(const uint32_t* signs, const uint32_t* mask, uint8_t* panel_word) {
  for (int byte = 0; byte < 4; ++byte) {
    for (int index = 0; index < (mask == nullptr ? 1 : 2); ++index) {
      for (int nibble = 0; nibble < 2; ++nibble) {
        for (int c = 0; c < kChannels; ++c) {
          const uint32_t plus = mask == nullptr ? signs[c] : mask[c] & ~signs[c];
          const uint32_t bits = index == 0 ? plus : signs[c];
          *panel_word++ = bits >> (8 * byte + 4 * nibble) & 15;
        }
      }
    }
  }
}

}  // namespace tfq

#endif  // defined(__x86_64__)
