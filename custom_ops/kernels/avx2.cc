// AVX2 (Haswell, Zen and later): the row, and its short functions.
#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/bgemm_x86.h"
#include "kernels/isa_table.h"
#include "kernels/prelu_rows.h"

#define TFQ_AVX2 __attribute__((target("avx2")))

namespace tfq {

namespace {

bool IsSupported() { return __builtin_cpu_supports("avx2"); }

TFQ_AVX2 __m256i Load(const int8_t* values) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values));
}

TFQ_AVX2 void BitpackFloat(const float* values, size_t stride, size_t rows, const float* thresholds,
                           uint32_t* words, size_t word_stride) {
  for (size_t r = 0; r < rows; ++r, values += stride) {
    uint32_t word = 0;
    for (int c = 0; c < 32; c += 8) {
      const __m256 x = _mm256_loadu_ps(values + c), limits = _mm256_loadu_ps(thresholds + c);
      const int bits = _mm256_movemask_ps(_mm256_cmp_ps(x, limits, _CMP_LT_OQ));
      word |= static_cast<uint32_t>(bits) << c;
    }
    words[r * word_stride] = word;
  }
}

TFQ_AVX2 void BitpackInt8(const int8_t* values, size_t stride, size_t rows,
                          const int8_t* thresholds, uint32_t always, uint32_t* words,
                          size_t word_stride) {
  const __m256i limits = Load(thresholds);
  for (size_t r = 0; r < rows; ++r, values += stride) {
    const int bits = _mm256_movemask_epi8(_mm256_cmpgt_epi8(limits, Load(values)));
    words[r * word_stride] = static_cast<uint32_t>(bits) | always;
  }
}

TFQ_AVX2 void BitpackPlanes(const int8_t* values, size_t stride, size_t rows, int planes,
                            int8_t first, int8_t second, uint32_t channels, uint32_t* words,
                            size_t word_stride, size_t plane_stride) {
  const __m256i firsts = _mm256_set1_epi8(first), seconds = _mm256_set1_epi8(second);
  const __m256i top = _mm256_set1_epi8(static_cast<char>((1 << planes) - 1));
  for (size_t r = 0; r < rows; ++r, values += stride) {
    __m256i codes = _mm256_subs_epi8(_mm256_subs_epi8(Load(values), firsts), seconds);
    codes = _mm256_min_epi8(_mm256_max_epi8(codes, _mm256_setzero_si256()), top);
    for (int p = 0; p < planes; ++p) {
      // Bit p to the sign of its byte; what crosses into the next byte stays below its sign.
      const int bits = _mm256_movemask_epi8(_mm256_slli_epi16(codes, 7 - p));
      words[r * word_stride + p * plane_stride] = ~static_cast<uint32_t>(bits) & channels;
    }
  }
}

TFQ_AVX2 void Prelu(const int8_t* input, size_t rows, size_t channels,
                    const PreluParameters& parameters, int8_t* output) {
  PreluRows<8>(input, rows, channels, parameters, output);
}

}  // namespace

const Isa kIsaAvx2 = {
    "avx2",
    IsSupported,
    kAvx2TileRows,
    kAvx2PanelChannels,
    2 * kAvx2PanelChannels * sizeof(uint32_t),
    PackPanelWordAvx2,
    BgemmTileAvx2,
    BitpackFloat,
    BitpackInt8,
    BitpackPlanes,
    Prelu,
};

}  // namespace tfq

#endif  // defined(__x86_64__)
