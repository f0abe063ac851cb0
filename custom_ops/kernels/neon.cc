// NEON, in plain ARMv8-A, which every 64-bit Arm has: the row, and its short functions.
#if defined(__aarch64__)

#include "kernels/neon.h"

#include "kernels/isa_table.h"
#include "kernels/prelu_rows.h"

namespace tfq {

namespace {

void BitpackFloat(const float* values, size_t stride, size_t rows, const float* thresholds,
                  uint32_t* words, size_t word_stride) {
  float32x4_t limits[8];
  for (int v = 0; v < 8; ++v) limits[v] = vld1q_f32(thresholds + 4 * v);
  for (size_t r = 0; r < rows; ++r, values += stride) {
    uint32x4_t masks[8];
    for (int v = 0; v < 8; ++v) masks[v] = vcltq_f32(vld1q_f32(values + 4 * v), limits[v]);
    words[r * word_stride] = WordOfMasks(NarrowMasks(masks), NarrowMasks(masks + 4));
  }
}

void BitpackInt8(const int8_t* values, size_t stride, size_t rows, const int8_t* thresholds,
                 uint32_t always, uint32_t* words, size_t word_stride) {
  const int8x16_t low = vld1q_s8(thresholds), high = vld1q_s8(thresholds + 16);
  for (size_t r = 0; r < rows; ++r, values += stride) {
    words[r * word_stride] = always | WordOfMasks(vcltq_s8(vld1q_s8(values), low),
                                                  vcltq_s8(vld1q_s8(values + 16), high));
  }
}

void BitpackPlanes(const int8_t* values, size_t stride, size_t rows, int planes, int8_t first,
                   int8_t second, uint32_t channels, uint32_t* words, size_t word_stride,
                   size_t plane_stride) {
  const int8x16_t top = vdupq_n_s8(static_cast<int8_t>((1 << planes) - 1));
  for (size_t r = 0; r < rows; ++r, values += stride) {
    int8x16_t codes[2];
    for (int v = 0; v < 2; ++v) {
      codes[v] = vqsubq_s8(vld1q_s8(values + 16 * v), vdupq_n_s8(first));
      codes[v] = vqsubq_s8(codes[v], vdupq_n_s8(second));
      codes[v] = vminq_s8(vmaxq_s8(codes[v], vdupq_n_s8(0)), top);
    }
    for (int p = 0; p < planes; ++p) {
      const int8x16_t bit = vdupq_n_s8(static_cast<int8_t>(1 << p));
      const uint32_t word = WordOfMasks(vtstq_s8(codes[0], bit), vtstq_s8(codes[1], bit));
      words[r * word_stride + p * plane_stride] = ~word & channels;
    }
  }
}

// Four channels from `c` on; x is their input.
int32x4_t PreluOfFour(const PreluParameters& p, size_t c, int32x4_t x) {
  const float32x4_t low = vdupq_n_f32(static_cast<float>(p.low));
  const float32x4_t high = vdupq_n_f32(static_cast<float>(p.high));
  const uint32x4_t is_above = vcgtq_s32(x, vld1q_s32(p.knee + c));
  const float32x4_t multiplier =
      vbslq_f32(is_above, vld1q_f32(p.above_multiplier + c), vld1q_f32(p.below_multiplier + c));
  const float32x4_t bias =
      vbslq_f32(is_above, vld1q_f32(p.above_bias + c), vld1q_f32(p.below_bias + c));
  float32x4_t y = vaddq_f32(vmulq_f32(vcvtq_f32_s32(x), multiplier), bias);
  y = vbslq_f32(vcgtq_f32(y, low), y, low);  // a NaN becomes `low`
  return vcvtnq_s32_f32(vminq_f32(y, high));
}

void Prelu(const int8_t* input, size_t rows, size_t channels, const PreluParameters& parameters,
           int8_t* output) {
  constexpr size_t kLanes = 8;
  if (channels < kLanes) return PreluRows<4>(input, rows, channels, parameters, output);
  for (size_t r = 0; r < rows; ++r, input += channels, output += channels) {
    for (size_t next = 0; next < channels; next += kLanes) {
      // The last ones overlap those before.
      const size_t c = next < channels - kLanes ? next : channels - kLanes;
      const int16x8_t x = vmovl_s8(vld1_s8(input + c));
      const int32x4_t first = PreluOfFour(parameters, c, vmovl_s16(vget_low_s16(x)));
      const int32x4_t second = PreluOfFour(parameters, c + 4, vmovl_s16(vget_high_s16(x)));
      vst1_s8(output + c, vmovn_s16(vcombine_s16(vmovn_s32(first), vmovn_s32(second))));
    }
  }
}

}  // namespace

const Isa kIsaNeon = {
    "neon",
    [] { return true; },
    kNeonTileRows,
    kNeonPanelChannels,
    kNeonPanelChannels * sizeof(uint32_t),
    PackPanelWordPlain<kNeonPanelChannels>,
    BgemmTileNeon,
    BitpackFloat,
    BitpackInt8,
    BitpackPlanes,
    Prelu,
};

}  // namespace tfq

#endif  // defined(__aarch64__)
