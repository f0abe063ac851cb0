// What the files of the NEON row share.
#ifndef TFQ_KERNELS_NEON_H_
#define TFQ_KERNELS_NEON_H_

#include <arm_neon.h>
#include <stdint.h>

#include "kernels/bgemm.h"

namespace tfq {

constexpr int kNeonTileRows = 2;
constexpr int kNeonPanelChannels = 32;
void BgemmTileNeon(const BgemmTile& tile);

// 32 comparisons, each all ones or all zeros, as the bits of a word: every byte keeps the bit of
// its place among eight, and three pairwise additions bring eight bytes together.
inline uint32_t WordOfMasks(uint8x16_t low, uint8x16_t high) {
  const uint8x16_t places = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
  uint8x16_t sums = vpaddq_u8(vandq_u8(low, places), vandq_u8(high, places));
  sums = vpaddq_u8(sums, sums);
  sums = vpaddq_u8(sums, sums);
  return vgetq_lane_u32(vreinterpretq_u32_u8(sums), 0);
}

// Four vectors of comparisons of 32 bits as one of bytes.
inline uint8x16_t NarrowMasks(const uint32x4_t* masks) {
  const uint16x8_t first =
      vuzp1q_u16(vreinterpretq_u16_u32(masks[0]), vreinterpretq_u16_u32(masks[1]));
  const uint16x8_t second =
      vuzp1q_u16(vreinterpretq_u16_u32(masks[2]), vreinterpretq_u16_u32(masks[3]));
  return vuzp1q_u8(vreinterpretq_u8_u16(first), vreinterpretq_u8_u16(second));
}

}  // namespace tfq

#endif  // TFQ_KERNELS_NEON_H_
