// AVX-512 with VPOPCNTDQ (Ice Lake, Zen 4 and later): the row, and its short functions.
#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/bgemm_x86.h"
#include "kernels/isa_table.h"
#include "kernels/prelu_rows.h"

#define TFQ_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")))

namespace tfq {

namespace {

bool IsSupported() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vpopcntdq");
}

TFQ_AVX512 void BitpackFloat(const float* values, size_t stride, size_t rows,
                             const float* thresholds, uint32_t* words, size_t word_stride) {
  const __m512 low = _mm512_loadu_ps(thresholds), high = _mm512_loadu_ps(thresholds + 16);
  for (size_t r = 0; r < rows; ++r, values += stride) {
    const __mmask16 first = _mm512_cmp_ps_mask(_mm512_loadu_ps(values), low, _CMP_LT_OQ);
    const __mmask16 second = _mm512_cmp_ps_mask(_mm512_loadu_ps(values + 16), high, _CMP_LT_OQ);
    words[r * word_stride] = _mm512_kunpackw(second, first);  // as in bgemm_avx512.cc
  }
}

TFQ_AVX512 void BitpackInt8(const int8_t* values, size_t stride, size_t rows,
                            const int8_t* thresholds, uint32_t always, uint32_t* words,
                            size_t word_stride) {
  const __m256i limits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(thresholds));
  for (size_t r = 0; r < rows; ++r, values += stride) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values));
    words[r * word_stride] = _mm256_cmplt_epi8_mask(x, limits) | always;
  }
}

TFQ_AVX512 void BitpackPlanes(const int8_t* values, size_t stride, size_t rows, int planes,
                              int8_t first, int8_t second, uint32_t channels, uint32_t* words,
                              size_t word_stride, size_t plane_stride) {
  const __m256i firsts = _mm256_set1_epi8(first), seconds = _mm256_set1_epi8(second);
  const __m256i top = _mm256_set1_epi8(static_cast<char>((1 << planes) - 1));
  for (size_t r = 0; r < rows; ++r, values += stride) {
    __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values));
    codes = _mm256_subs_epi8(_mm256_subs_epi8(codes, firsts), seconds);
    codes = _mm256_min_epi8(_mm256_max_epi8(codes, _mm256_setzero_si256()), top);
    for (int p = 0; p < planes; ++p) {
      const __m256i bit = _mm256_set1_epi8(static_cast<char>(1 << p));
      words[r * word_stride + p * plane_stride] = _mm256_testn_epi8_mask(codes, bit) & channels;
    }
  }
}

TFQ_AVX512 void Prelu(const int8_t* input, size_t rows, size_t channels,
                      const PreluParameters& parameters, int8_t* output) {
  PreluRows<16>(input, rows, channels, parameters, output);
}

}  // namespace

const Isa kIsaAvx512 = {
    "avx512",
    IsSupported,
    kAvx512TileRows,
    kAvx512PanelChannels,
    kAvx512PanelChannels * sizeof(uint32_t),
    PackPanelWordPlain<kAvx512PanelChannels>,
    BgemmTileAvx512,
    BitpackFloat,
    BitpackInt8,
    BitpackPlanes,
    Prelu,
};

}  // namespace tfq

#endif  // defined(__x86_64__)
