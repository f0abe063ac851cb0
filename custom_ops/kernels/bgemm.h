// The product of rows of bits with a panel of weights, and the output transform behind it: one
// tile.
//
// With a_p the planes of a row (one plane: values +1, -1) and w the weights of a channel,
//
//   POP = sum_p 2^p * popcount((a_p ^ w) & mask) = POP_0 + 2 * (POP_1 + 2 * (POP_2 + ...)),
//
// so a tile goes over the planes from the last to the first and doubles its accumulators between
// them. With s_p, w in {+1, -1} a set bit of a_p ^ w is a product of -1 and a clear one of +1:
//
//   sum s_p * w = nnz - 2 * popcount((a_p ^ w) & mask).
//
// Values +1, -1 are the single plane: acc = nnz - 2 * POP. A code is q = (sum_p 2^p s_p + 2^P - 1)
// / 2, so sum q * w = ((2^P - 1) * nnz - 2 * POP + (2^P - 1) * sum(w)) / 2. Both are
//
//   acc = base - (POP << shift),   shift = 1 for values, 0 for codes,
//
// with a base by channel (and by position where zero padding is corrected), which also takes the
// integer bias. Packed output compares POP alone, with a limit in the place of the base:
//
//   acc < threshold  <=>  POP > limit = floor((base - threshold) / 2^shift).
#ifndef TFQ_KERNELS_BGEMM_H_
#define TFQ_KERNELS_BGEMM_H_

#include <stddef.h>
#include <stdint.h>

#include "kernels/output_transform.h"

namespace tfq {

constexpr int kMaxTileRows = 8;
constexpr int kMaxPanelChannels = 128;

// A tile is up to Isa::tile_rows rows times one panel of up to Isa::panel_channels output channels.
// Arrays by channel begin at the panel's first channel, have Isa::panel_channels values to read,
// and are aligned to 64 bytes, as the panel is.
struct BgemmTile {
  // The product.
  int num_rows;
  const uint32_t* rows[kMaxTileRows];  // where a row's window begins; rows past num_rows: unset
  const int32_t* offsets;              // num_words: where a window's words are, from there
  int32_t num_words;                   // of a window, one plane
  int planes;
  int32_t plane_stride;  // words from a plane to the next
  const uint8_t* panel;  // num_words x (1 or, if ternary, 2) x Isa::panel_word_bytes
  bool is_ternary;

  // The output transform. The channels past `channels` are not stored; packed: their bits are
  // clear.
  OutputType type;
  int shift;
  int channels;                        // of this panel, from 1
  const int32_t* bases[kMaxTileRows];  // by channel; packed: the limits
  const float* multiplier;             // by channel, as the following
  const float* bias;
  const float* lower;  // null: no clamp; else upper is there, too
  const float* upper;
  const float* sum_multiplier;  // null: no window sums
  float window_sums[kMaxTileRows];
  float low, high;        // int8: bounds without the zero point
  int32_t zero_point;     // int8
  const uint32_t* flips;  // packed: panel_channels / 32 words
  void* output;           // float, int8_t or uint32_t of the first row and channel
  size_t output_stride;   // elements from a row to the next
};

using BgemmTileFunction = void (*)(const BgemmTile& tile);

// Writes word k of all channels of a panel as the tile function reads it. `mask` is null if not
// ternary; both hold panel_channels words, 0 behind the last channel.
using PackPanelWord = void (*)(const uint32_t* signs, const uint32_t* mask, uint8_t* panel_word);

// The plain layout, by word: panel_channels signs, then as many masks if ternary.
template <int kPanelChannels>
void PackPanelWordPlain(const uint32_t* signs, const uint32_t* mask, uint8_t* panel_word) {
  __builtin_memcpy(panel_word, signs, kPanelChannels * sizeof(uint32_t));
  if (mask == nullptr) return;
  __builtin_memcpy(panel_word + kPanelChannels * sizeof(uint32_t), mask,
                   kPanelChannels * sizeof(uint32_t));
}

}  // namespace tfq

#endif  // TFQ_KERNELS_BGEMM_H_
