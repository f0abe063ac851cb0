// Products of packed rows with packed weights, beside a bare loop of XOR, POPCNT and ADD in
// registers: the most that three operations a word can reach on this core. bgemm.py compiles and
// runs it.
//
// Output: a line for each ISA and length: name, bits, GMAC/s of the bare loop, GMAC/s of bgemm, and
// the median over rounds of their ratio (the loops take turns).
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/bdense.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

constexpr int kRows = 196;     // of a 14 x 14 image
constexpr int kOutputs = 256;  // packed
constexpr int kRounds = 60;
constexpr int kCallsOfRound = 4;

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

#if defined(__x86_64__)

constexpr int kBareRows = 7, kBareVectors = 2;  // as in the tile

// Each returns the products that it has done. What the loop reads is hidden from the compiler,
// which would otherwise move it out; nothing is loaded or stored.
__attribute__((target("avx512f,avx512vpopcntdq"))) double BareAvx512(int iterations) {
  __m512i a[kBareRows], b[kBareVectors], sums[kBareRows][kBareVectors];
  for (int r = 0; r < kBareRows; ++r) {
    a[r] = _mm512_set1_epi32((r + 1) * 1234567);
    for (auto& sum : sums[r]) sum = _mm512_setzero_si512();
  }
  for (int v = 0; v < kBareVectors; ++v) b[v] = _mm512_set1_epi32((v + 1) * 7654321);
  for (int i = 0; i < iterations; ++i) {
    for (auto& each : b) asm volatile("" : "+v"(each));
    for (int r = 0; r < kBareRows; ++r) {
      for (int v = 0; v < kBareVectors; ++v) {
        const __m512i bits = _mm512_xor_si512(a[r], b[v]);
        sums[r][v] = _mm512_add_epi32(sums[r][v], _mm512_popcnt_epi32(bits));
      }
    }
  }
  for (auto& row : sums) {
    for (auto& sum : row) asm volatile("" ::"v"(sum));
  }
  return 512.0 * iterations * kBareRows * kBareVectors;
}

// AVX2 has no POPCNT of vectors: the usual one is by VPSHUFB, half a byte at a time, into bytes.
__attribute__((target("avx2"))) double BareAvx2(int iterations) {
  constexpr int kSums = 6;
  const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                          0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  const __m256i low = _mm256_set1_epi8(15);
  __m256i a = _mm256_set1_epi32(1234567), b[2], sums[kSums];
  for (auto& sum : sums) sum = _mm256_setzero_si256();
  for (int v = 0; v < 2; ++v) b[v] = _mm256_set1_epi32((v + 1) * 7654321);
  for (int i = 0; i < iterations; ++i) {
    for (int s = 0; s < kSums; ++s) {
      asm volatile("" : "+x"(a));
      const __m256i bits = _mm256_xor_si256(a, b[s % 2]);
      const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bits, 4), low);
      const __m256i first = _mm256_shuffle_epi8(counts, _mm256_and_si256(bits, low));
      const __m256i second = _mm256_shuffle_epi8(counts, high);
      sums[s] = _mm256_add_epi8(sums[s], _mm256_add_epi8(first, second));
    }
  }
  for (auto& sum : sums) asm volatile("" ::"x"(sum));
  return 256.0 * iterations * kSums;
}

#endif

using BareLoop = double (*)(int iterations);

BareLoop FindBareLoop(const char* name) {
#if defined(__x86_64__)
  if (std::strcmp(name, "avx512") == 0) return BareAvx512;
  if (std::strcmp(name, "avx2") == 0) return BareAvx2;
#endif
  (void)name;
  return nullptr;
}

// A dense layer with packed input and output.
class Product {
 public:
  Product(const tfq::Isa& isa, int bits)
      : bits_(bits), words_(kRows * (bits / 32)), output_(kRows * kOutputs / 32) {
    std::mt19937 random(bits);
    for (uint32_t& word : words_) word = static_cast<uint32_t>(random());
    const tfq::Bconv2dOptions options = tfq::BdenseOptions(bits, kOutputs, 1, false, false);
    std::vector<uint8_t> filter(tfq::Bconv2dFilterBytes(options));
    for (uint8_t& byte : filter) byte = static_cast<uint8_t>(random());
    const std::vector<int32_t> thresholds(kOutputs, 1);
    const std::vector<uint32_t> flips(kOutputs / 32, 0);
    tfq::OutputTransform transform = {};
    transform.type = tfq::OutputType::kPacked;
    transform.thresholds = thresholds.data();
    transform.flips = flips.data();
    memory_ = Allocate(tfq::Bconv2dPlanBytes(options, isa));
    plan_ = tfq::Bconv2dPrepare(options, filter.data(), transform, isa, memory_);
    scratch_ = Allocate(tfq::Bconv2dScratchBytes(*plan_, 1, 1, kRows, 1));
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;
  ~Product() {
    std::free(memory_);
    std::free(scratch_);
  }

  double Run() {
    tfq::Bconv2dRun(*plan_, words_.data(), 1, 1, kRows, output_.data(), scratch_, tfq::Serial());
    return 1.0 * kRows * kOutputs * bits_;
  }

 private:
  static void* Allocate(size_t bytes) {
    return std::aligned_alloc(tfq::kAlignment, (bytes + tfq::kAlignment) / 64 * 64);
  }

  int bits_;
  std::vector<uint32_t> words_, output_;
  void *memory_, *scratch_;
  tfq::Bconv2dPlan* plan_;
};

// GMAC/s of the fastest of a few calls.
template <typename Function>
double Measure(const Function& function) {
  double best = 0.0;
  for (int i = 0; i < kCallsOfRound; ++i) {
    const double start = Now();
    const double products = function();
    best = std::max(best, products / (Now() - start) * 1e-9);
  }
  return best;
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

}  // namespace

int main() {
  for (int i = 0; tfq::IsaAt(i) != nullptr; ++i) {
    const tfq::Isa& isa = *tfq::IsaAt(i);
    const BareLoop bare_loop = FindBareLoop(tfq::IsaName(isa));
    if (!tfq::IsaIsSupported(isa) || bare_loop == nullptr) continue;
    for (int bits : {576, 1152, 2304, 4608}) {
      Product product(isa, bits);
      std::vector<double> bare, ours, ratios;
      for (int round = 0; round < kRounds; ++round) {
        bare.push_back(Measure([&] { return bare_loop(2000); }));
        ours.push_back(Measure([&] { return product.Run(); }));
        ratios.push_back(ours.back() / bare.back());
      }
      std::printf("%s %d %.0f %.0f %.3f\n", tfq::IsaName(isa), bits, Median(bare), Median(ours),
                  Median(ratios));
    }
  }
  return 0;
}
