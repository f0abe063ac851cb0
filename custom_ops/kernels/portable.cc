// The kernels in plain C++: right everywhere, and what the others are read against.
#include "kernels/bits.h"
#include "kernels/isa_table.h"
#include "kernels/prelu_rows.h"
#include "kernels/transform_tile.h"

namespace tfq {

namespace {

constexpr int kChannels = 32;  // one word of packed output
constexpr int kRows = 4;

void Tile(const BgemmTile& tile) {
  const int words_of_word = tile.is_ternary ? 2 * kChannels : kChannels;
  int32_t pops[kRows][kChannels] = {};
  for (int r = 0; r < tile.num_rows; ++r) {
    auto& pop = pops[r];
    for (int p = tile.planes - 1; p >= 0; --p) {
      const uint32_t* row = tile.rows[r] + p * static_cast<ptrdiff_t>(tile.plane_stride);
      const uint32_t* signs = reinterpret_cast<const uint32_t*>(tile.panel);
      for (int32_t& each : pop) each *= 2;
      for (int32_t k = 0; k < tile.num_words; ++k, signs += words_of_word) {
        const uint32_t a = row[tile.offsets[k]];
        if (tile.is_ternary) {
          const uint32_t* mask = signs + kChannels;
          for (int c = 0; c < kChannels; ++c) pop[c] += CountBits((a ^ signs[c]) & mask[c]);
        } else {
          for (int c = 0; c < kChannels; ++c) pop[c] += CountBits(a ^ signs[c]);
        }
      }
    }
  }
  if (tile.type != OutputType::kPacked) return TransformTile<4>(tile, pops[0], kChannels);
  for (int r = 0; r < tile.num_rows; ++r) {
    uint32_t word = 0;
    for (int c = 0; c < kChannels; ++c) {
      word |= static_cast<uint32_t>(pops[r][c] > tile.bases[r][c]) << c;
    }
    static_cast<uint32_t*>(tile.output)[r * tile.output_stride] =
        (word ^ tile.flips[0]) & ChannelMask(tile.channels);
  }
}

void BitpackFloat(const float* values, size_t stride, size_t rows, const float* thresholds,
                  uint32_t* words, size_t word_stride) {
  for (size_t r = 0; r < rows; ++r, values += stride) {
    uint32_t word = 0;
    for (int c = 0; c < 32; ++c) word |= static_cast<uint32_t>(values[c] < thresholds[c]) << c;
    words[r * word_stride] = word;
  }
}

void BitpackInt8(const int8_t* values, size_t stride, size_t rows, const int8_t* thresholds,
                 uint32_t always, uint32_t* words, size_t word_stride) {
  for (size_t r = 0; r < rows; ++r, values += stride) {
    uint32_t word = always;
    for (int c = 0; c < 32; ++c) word |= static_cast<uint32_t>(values[c] < thresholds[c]) << c;
    words[r * word_stride] = word;
  }
}

void BitpackPlanes(const int8_t* values, size_t stride, size_t rows, int planes, int8_t first,
                   int8_t second, uint32_t channels, uint32_t* words, size_t word_stride,
                   size_t plane_stride) {
  const int top = (1 << planes) - 1;
  for (size_t r = 0; r < rows; ++r, values += stride) {
    uint32_t bits[4] = {};
    for (int c = 0; c < 32; ++c) {
      int code = values[c] - first - second;
      code = code < 0 ? 0 : code > top ? top : code;
      for (int p = 0; p < 4; ++p) bits[p] |= static_cast<uint32_t>(code >> p & 1) << c;
    }
    for (int p = 0; p < planes; ++p) {
      words[r * word_stride + p * plane_stride] = ~bits[p] & channels;
    }
  }
}

void PreluPortable(const int8_t* input, size_t rows, size_t channels,
                   const PreluParameters& parameters, int8_t* output) {
  PreluRows<4>(input, rows, channels, parameters, output);
}

}  // namespace

const Isa kIsaPortable = {
    "portable",
    [] { return true; },
    kRows,
    kChannels,
    kChannels * sizeof(uint32_t),
    PackPanelWordPlain<kChannels>,
    Tile,
    BitpackFloat,
    BitpackInt8,
    BitpackPlanes,
    PreluPortable,
};

}  // namespace tfq
