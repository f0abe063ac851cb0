// The tiles for x86_64 (bgemm.h), for the table rows in isa_x86.cc.
#ifndef TFQ_KERNELS_BGEMM_X86_H_
#define TFQ_KERNELS_BGEMM_X86_H_

#include "kernels/bgemm.h"

namespace tfq {

constexpr int kAvx512TileRows = 7;
constexpr int kAvx512PanelChannels = 64;
void BgemmTileAvx512(const BgemmTile& tile);

constexpr int kAvx2TileRows = 4;
constexpr int kAvx2PanelChannels = 64;
void BgemmTileAvx2(const BgemmTile& tile);
void PackPanelWordAvx2(const uint32_t* signs, const uint32_t* mask, uint8_t* panel_word);

}  // namespace tfq

#endif  // TFQ_KERNELS_BGEMM_X86_H_
