// One row an instruction set: what a file `<op>_<isa>.cc` gives and the drivers call.
#ifndef TFQ_KERNELS_ISA_TABLE_H_
#define TFQ_KERNELS_ISA_TABLE_H_

#include <stddef.h>
#include <stdint.h>

#include "kernels/bgemm.h"
#include "kernels/isa.h"
#include "kernels/prelu.h"

namespace tfq {

// Functions of a row do whole tiles or whole words; the drivers cut the work, copy ragged ends
// into full buffers, and use the threads.
struct Isa {
  const char* name;
  bool (*is_supported)();

  // bgemm.h
  int tile_rows;            // of a full tile, 1 to kMaxTileRows
  int panel_channels;       // output channels of a panel, a multiple of 32 up to kMaxPanelChannels
  size_t panel_word_bytes;  // what a word of all channels of a panel takes; ternary: twice that
  PackPanelWord pack_panel_word;
  BgemmTileFunction bgemm_tile;

  // Bits of 32 channels. Row r begins at values[r * stride] and its word is words[r * word_stride].
  // bit = values[c] < thresholds[c]
  void (*bitpack_float)(const float* values, size_t stride, size_t rows,
                        const float* thresholds,  // 32
                        uint32_t* words, size_t word_stride);
  // bit = values[c] < thresholds[c], or set where `always` is (int8 cannot say 128)
  void (*bitpack_int8)(const int8_t* values, size_t stride, size_t rows,
                       const int8_t* thresholds,  // 32
                       uint32_t always, uint32_t* words, size_t word_stride);
  // Plane p of a row, at words[r * word_stride + p * plane_stride], holds the complement of bit p
  // of clamp((values[c] - first) - second, 0, 2^planes - 1) where `channels` has a bit, else 0.
  // Both differences saturate to int8, which the clamp hides; second is -15 to 0.
  void (*bitpack_planes)(const int8_t* values, size_t stride, size_t rows, int planes, int8_t first,
                         int8_t second, uint32_t channels, uint32_t* words, size_t word_stride,
                         size_t plane_stride);

  // prelu.h
  void (*prelu)(const int8_t* input, size_t rows, size_t channels,
                const PreluParameters& parameters, int8_t* output);
};

#if defined(__x86_64__)
extern const Isa kIsaAvx512, kIsaAvx2;
#elif defined(__aarch64__)
extern const Isa kIsaNeon;
#endif
extern const Isa kIsaPortable;

}  // namespace tfq

#endif  // TFQ_KERNELS_ISA_TABLE_H_
