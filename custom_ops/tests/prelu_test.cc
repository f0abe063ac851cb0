// The parametric ReLU of every ISA against its formula, value by value.
#include "kernels/prelu.h"

#include <gtest/gtest.h>

#include "tests/guarded.h"
#include "tests/reference.h"
#include "tests/threads.h"

namespace tfq_test {
namespace {

struct Channels {
  std::vector<int32_t> knee;
  std::vector<float> above_multiplier, above_bias, below_multiplier, below_bias;

  tfq::PreluParameters Parameters(int low, int high) const {
    return {knee.data(),
            above_multiplier.data(),
            above_bias.data(),
            below_multiplier.data(),
            below_bias.data(),
            low,
            high};
  }
};

Channels RandomChannels(int count, uint32_t seed) {
  std::mt19937 random(seed);
  const auto eighths = [&](int limit) {  // halves and quarters give ties
    return static_cast<float>(static_cast<int>(random() % (2 * limit + 1)) - limit) / 8.0f;
  };
  Channels channels;
  for (int c = 0; c < count; ++c) {
    channels.knee.push_back(static_cast<int>(random() % 300) - 150);
    channels.above_multiplier.push_back(eighths(20));
    channels.above_bias.push_back(eighths(200));
    channels.below_multiplier.push_back(eighths(20));
    channels.below_bias.push_back(eighths(200));
  }
  return channels;
}

int8_t PreluOf(int x, const tfq::PreluParameters& p, int c) {
  const bool is_above = x > p.knee[c];
  volatile float product =
      static_cast<float>(x) * (is_above ? p.above_multiplier[c] : p.below_multiplier[c]);
  volatile float y = product + (is_above ? p.above_bias[c] : p.below_bias[c]);
  if (std::isnan(y)) return static_cast<int8_t>(p.low);
  const double rounded = std::nearbyint(static_cast<double>(y));
  return static_cast<int8_t>(
      std::fmin(std::fmax(rounded, static_cast<double>(p.low)), static_cast<double>(p.high)));
}

void ExpectFormula(const Channels& channels, int rows, int low, int high, int num_threads) {
  const int count = static_cast<int>(channels.knee.size());
  const tfq::PreluParameters parameters = channels.Parameters(low, high);
  std::mt19937 random(rows);
  std::vector<int8_t> values(rows * count), expected;
  for (int8_t& value : values) value = static_cast<int8_t>(random());
  for (int i = 0; i < rows * count; ++i) {
    expected.push_back(PreluOf(values[i], parameters, i % count));
  }
  const Guarded<int8_t> input(values);
  for (const tfq::Isa* isa : SupportedIsas()) {
    Guarded<int8_t> output(values.size());
    Threads threads(num_threads);
    tfq::Prelu(*isa, input.data(), rows, count, parameters, output.data(), threads.parallel());
    ASSERT_EQ(output.values(), expected) << tfq::IsaName(*isa);
    ASSERT_TRUE(output.guards_hold()) << tfq::IsaName(*isa);
  }
}

TEST(Prelu, EqualsItsFormulaAtAwkwardSizes) {
  for (int count : {1, 3, 8, 15, 16, 17, 31, 32, 33, 64, 100, 129}) {
    for (int rows : {0, 1, 2, 7}) ExpectFormula(RandomChannels(count, count), rows, -128, 127, 1);
  }
}

TEST(Prelu, ClampsToTheBounds) {
  ExpectFormula(RandomChannels(40, 1), 50, -20, 33, 1);
  ExpectFormula(RandomChannels(40, 2), 50, 5, 5, 1);
}

TEST(Prelu, SaturatesHugeValuesAndTakesNanToTheLowerBound) {
  const float infinity = std::numeric_limits<float>::infinity();
  Channels channels = RandomChannels(6, 3);
  channels.above_multiplier = {3e38f, -3e38f, infinity, -infinity, 0.0f, infinity};
  channels.above_bias = {0.0f,     0.0f, 0.0f, 0.0f, std::numeric_limits<float>::quiet_NaN(),
                         -infinity};
  ExpectFormula(channels, 100, -128, 127, 1);
}

TEST(Prelu, GivesTheSameBytesWithAnyNumberOfThreads) {
  for (int num_threads : {2, 3, 4}) {
    ExpectFormula(RandomChannels(96, 4), 1500, -128, 127, num_threads);
  }
}

}  // namespace
}  // namespace tfq_test
