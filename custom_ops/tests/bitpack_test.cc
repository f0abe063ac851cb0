// Bits of every ISA against comparisons one by one.
#include "kernels/bitpack.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/guarded.h"
#include "tests/reference.h"
#include "tests/threads.h"

namespace tfq_test {
namespace {

// Around words, blocks of copied rows (16), and blocks of rows (64).
const int kChannels[] = {1, 2, 31, 32, 33, 63, 64, 65, 96, 127, 128, 129, 200};
const int kRows[] = {0, 1, 15, 16, 17, 63, 64, 65, 130};

// Runs pack(isa, output, parallel) for every ISA and 1 to 3 threads, and compares.
template <typename Pack>
void ExpectWords(const Words& expected, const Pack& pack) {
  for (const tfq::Isa* isa : SupportedIsas()) {
    for (int num_threads = 1; num_threads <= 3; ++num_threads) {
      Guarded<uint32_t> output(expected.size());
      Threads threads(num_threads);
      pack(*isa, output.data(), threads.parallel());
      ASSERT_EQ(output.values(), expected) << tfq::IsaName(*isa);
      ASSERT_TRUE(output.guards_hold()) << tfq::IsaName(*isa);
    }
  }
}

// A value and threshold (one or one a channel) to +1 or -1.
template <typename T, typename Threshold>
Integers Compare(const std::vector<T>& values, int channels,
                 const std::vector<Threshold>& thresholds) {
  Integers signs;
  for (size_t i = 0; i < values.size(); ++i) {
    const Threshold threshold = thresholds[thresholds.size() == 1 ? 0 : i % channels];
    signs.push_back(values[i] < threshold ? -1 : 1);
  }
  return signs;
}

TEST(Bitpack, FloatsBelowTheThresholdAreSet) {
  std::mt19937 random(1);
  const float special[] = {0.0f,
                           -0.0f,
                           std::numeric_limits<float>::denorm_min(),
                           -std::numeric_limits<float>::denorm_min(),
                           std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity(),
                           std::numeric_limits<float>::quiet_NaN()};
  const auto draw = [&] {
    return random() % 3 == 0 ? special[random() % 7] : static_cast<float>(random() % 9) - 4.0f;
  };
  for (int channels : kChannels) {
    for (int rows : kRows) {
      for (bool per_channel : {false, true}) {
        std::vector<float> values(rows * channels), thresholds(per_channel ? channels : 1);
        for (float& value : values) value = draw();
        for (float& threshold : thresholds) threshold = draw();
        const Guarded<float> input(values), limits(thresholds);
        ExpectWords(PackSigns(Compare(values, channels, thresholds), channels),
                    [&](const tfq::Isa& isa, uint32_t* words, const tfq::Parallel& parallel) {
                      tfq::BitpackFloat(isa, input.data(), rows, channels, limits.data(),
                                        per_channel, words, parallel);
                    });
      }
    }
  }
}

TEST(Bitpack, Int8BelowTheThresholdAreSet) {
  std::mt19937 random(2);
  const int32_t special[] = {-128,
                             -129,
                             -127,
                             127,
                             128,
                             129,
                             std::numeric_limits<int32_t>::min(),
                             std::numeric_limits<int32_t>::max()};
  for (int channels : kChannels) {
    for (int rows : kRows) {
      for (bool per_channel : {false, true}) {
        std::vector<int8_t> values(rows * channels);
        std::vector<int32_t> thresholds(per_channel ? channels : 1);
        for (int8_t& value : values) value = static_cast<int8_t>(random());
        for (int32_t& threshold : thresholds) {
          threshold = random() % 2 ? special[random() % 8] : static_cast<int>(random() % 256) - 128;
        }
        const Guarded<int8_t> input(values);
        const Guarded<int32_t> limits(thresholds);
        ExpectWords(PackSigns(Compare(values, channels, thresholds), channels),
                    [&](const tfq::Isa& isa, uint32_t* words, const tfq::Parallel& parallel) {
                      tfq::BitpackInt8(isa, input.data(), rows, channels, limits.data(),
                                       per_channel, words, parallel);
                    });
      }
    }
  }
}

TEST(Bitpack, EveryInt8AgainstEveryThreshold) {
  std::vector<int8_t> values;
  for (int value = -128; value < 128; ++value) values.push_back(static_cast<int8_t>(value));
  for (int32_t threshold = -130; threshold <= 130; ++threshold) {
    const Words expected = PackSigns(Compare<int8_t, int32_t>(values, 256, {threshold}), 256);
    for (const tfq::Isa* isa : SupportedIsas()) {
      Words words(8);
      tfq::BitpackInt8(*isa, values.data(), 1, 256, &threshold, false, words.data(), tfq::Serial());
      ASSERT_EQ(words, expected) << tfq::IsaName(*isa) << " " << threshold;
    }
  }
}

TEST(Bitpack, PlanesHoldTheComplementOfTheCode) {
  std::mt19937 random(3);
  for (int planes = 1; planes <= tfq::kMaxPlanes; ++planes) {
    for (int channels : {1, 31, 32, 33, 70, 128}) {
      for (int rows : {1, 17, 66}) {
        for (int lowest : {-1000, -144, -143, -130, -128, -8, 0, 5, 120, 127, 128, 1000}) {
          std::vector<int8_t> values(rows * channels);
          Integers codes;
          for (int8_t& value : values) {
            value = static_cast<int8_t>(random());
            codes.push_back(std::min(std::max(value - lowest, 0), (1 << planes) - 1));
          }
          const Guarded<int8_t> input(values);
          ExpectWords(PackCodes(codes, channels, planes), [&](const tfq::Isa& isa, uint32_t* words,
                                                              const tfq::Parallel& parallel) {
            tfq::BitpackPlanes(isa, input.data(), rows, channels, planes, lowest, words, parallel);
          });
        }
      }
    }
  }
}

TEST(Bitpack, SharesLargeInputsOut) {
  std::mt19937 random(4);
  const int rows = 1500, channels = 150;
  std::vector<int8_t> values(rows * channels);
  for (int8_t& value : values) value = static_cast<int8_t>(random());
  const int32_t threshold = 3;
  ExpectWords(PackSigns(Compare<int8_t, int32_t>(values, channels, {threshold}), channels),
              [&](const tfq::Isa& isa, uint32_t* words, const tfq::Parallel& parallel) {
                tfq::BitpackInt8(isa, values.data(), rows, channels, &threshold, false, words,
                                 parallel);
              });
}

}  // namespace
}  // namespace tfq_test
