// Convolutions of every ISA against plain loops (reference.h), bit for bit.
#include "kernels/bconv2d.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "kernels/bdense.h"
#include "tests/guarded.h"
#include "tests/reference.h"
#include "tests/threads.h"

namespace tfq_test {
namespace {

using tfq::Bconv2dOptions;
using tfq::OutputTransform;
using tfq::OutputType;
using tfq::Padding;

// Which optional inputs a transform has.
struct TransformInputs {
  bool bias = true, integer_bias = false, lower = false, upper = false, sum_multiplier = false;
};

// A transform with random constants, and the memory they are in.
struct RandomTransform {
  OutputTransform transform = {};
  std::vector<float> multiplier, bias, lower, upper, sum_multiplier;
  std::vector<int32_t> integer_bias, thresholds;
  Words flips;

  RandomTransform(OutputType type, int channels, int k, TransformInputs has, uint32_t seed) {
    std::mt19937 random(seed);
    const auto uniform = [&](float low, float high) {
      return low + (high - low) * static_cast<float>(random() % 4097) / 4096.0f;
    };
    const float spread = std::sqrt(static_cast<float>(k)) + 1.0f;  // of an accumulator, about
    flips.assign(DivideUp(channels, 32), 0);
    for (int c = 0; c < channels; ++c) {
      multiplier.push_back(uniform(-40.0f, 60.0f) / spread);
      bias.push_back(uniform(-20.0f, 20.0f));
      lower.push_back(uniform(-spread, 0.0f));
      upper.push_back(uniform(0.0f, spread));
      sum_multiplier.push_back(uniform(-1.0f, 1.0f));
      integer_bias.push_back(static_cast<int>(uniform(-spread, spread)));
      thresholds.push_back(static_cast<int>(uniform(-spread, spread)));
      flips[c / 32] |= (random() % 2) << (c % 32);
    }
    // Thresholds that all or no accumulators reach.
    thresholds[0] = std::numeric_limits<int32_t>::max();
    thresholds[channels / 2] = std::numeric_limits<int32_t>::min();
    transform.type = type;
    transform.multiplier = multiplier.data();
    transform.bias = has.bias ? bias.data() : nullptr;
    transform.integer_bias = has.integer_bias ? integer_bias.data() : nullptr;
    transform.lower = has.lower ? lower.data() : nullptr;
    transform.upper = has.upper ? upper.data() : nullptr;
    transform.sum_multiplier = has.sum_multiplier ? sum_multiplier.data() : nullptr;
    transform.zero_point = type == OutputType::kInt8 ? -11 : 0;
    transform.low = type == OutputType::kInt8 ? -120 : 0;
    transform.high = type == OutputType::kInt8 ? 127 : 0;
    transform.thresholds = thresholds.data();
    transform.flips = flips.data();
  }
};

std::vector<uint8_t> Expected(const Convolution& conv, const OutputTransform& t) {
  const Accumulators acc = Convolve(conv);
  const int channels = conv.options.channels_out, words = DivideUp(channels, 32);
  const int rows = static_cast<int>(acc.values.size()) / channels;
  std::vector<float> floats;
  std::vector<uint8_t> bytes;
  Words packed(rows * words, 0);
  for (int i = 0; i < rows * channels; ++i) {
    const int channel = i % channels;
    if (t.type == OutputType::kPacked) {
      if (TransformToBit(t, channel, acc.values[i])) {
        packed[i / channels * words + channel / 32] |= 1u << (channel % 32);
      }
      continue;
    }
    const float y = TransformToFloat(t, channel, acc.values[i], acc.window_sums[i]);
    floats.push_back(y);
    bytes.push_back(static_cast<uint8_t>(TransformToInt8(t, y)));
  }
  if (t.type == OutputType::kInt8) return bytes;
  const bool is_float = t.type == OutputType::kFloat;
  const size_t size = is_float ? floats.size() * 4 : packed.size() * 4;
  bytes.resize(size);
  if (size != 0) {
    std::memcpy(bytes.data(), is_float ? static_cast<void*>(floats.data()) : packed.data(), size);
  }
  return bytes;
}

std::vector<uint8_t> RunKernel(const Convolution& conv, const OutputTransform& transform,
                               const tfq::Isa& isa, int num_threads) {
  const Bconv2dOptions& o = conv.options;
  EXPECT_EQ(tfq::CheckBconv2d(o), nullptr);
  const Words words = o.has_codes ? PackCodes(conv.input, o.channels_in, o.planes)
                                  : PackSigns(conv.input, o.channels_in);
  const std::vector<uint8_t> filter = PackFilter(conv.filter, o.channels_out, o.is_ternary);
  EXPECT_EQ(filter.size(), tfq::Bconv2dFilterBytes(o));

  Guarded<uint8_t> plan_memory(tfq::Bconv2dPlanBytes(o, isa));
  tfq::Bconv2dPlan* plan;
  {
    // The plan keeps nothing of what it was made from.
    const Guarded<uint8_t> filter_copy(filter);
    plan = tfq::Bconv2dPrepare(o, filter_copy.data(), transform, isa, plan_memory.data());
  }
  int32_t height, width;
  EXPECT_EQ(tfq::Bconv2dOutputSize(o, conv.height, conv.width, &height, &width), nullptr);
  const size_t values =
      size_t{1} * conv.batch * height * width *
      (transform.type == OutputType::kPacked ? DivideUp(o.channels_out, 32) : o.channels_out);
  Guarded<uint8_t> output(values * (transform.type == OutputType::kInt8 ? 1 : 4));
  Guarded<uint8_t> scratch(
      tfq::Bconv2dScratchBytes(*plan, conv.batch, conv.height, conv.width, num_threads));
  const Guarded<uint32_t> input(words);
  Threads threads(num_threads);
  tfq::Bconv2dRun(*plan, input.data(), conv.batch, conv.height, conv.width, output.data(),
                  scratch.data(), threads.parallel());
  EXPECT_TRUE(plan_memory.guards_hold());
  EXPECT_TRUE(output.guards_hold());
  EXPECT_TRUE(scratch.guards_hold());
  EXPECT_TRUE(input.guards_hold());
  return output.values();
}

std::string Describe(const Bconv2dOptions& o, int height, int width) {
  std::string text = std::to_string(height) + "x" + std::to_string(width);
  for (int value : {o.channels_in, o.channels_out, o.kernel_height, o.kernel_width, o.stride_height,
                    o.stride_width, o.dilation_height, o.dilation_width, o.groups,
                    static_cast<int>(o.padding), o.planes, int{o.has_codes}, int{o.is_ternary}}) {
    text += " " + std::to_string(value);
  }
  return text;
}

const std::vector<OutputType> kAllTypes = {OutputType::kFloat, OutputType::kInt8,
                                           OutputType::kPacked};

void ExpectExact(const Bconv2dOptions& o, int batch, int height, int width,
                 TransformInputs has = {}, const std::vector<OutputType>& types = kAllTypes,
                 int num_threads = 1) {
  const Convolution conv = RandomConvolution(o, batch, height, width, 7 * height + o.channels_in);
  const int k = o.kernel_height * o.kernel_width * o.channels_in / o.groups;
  for (OutputType type : types) {
    const RandomTransform random(type, o.channels_out, k, has, o.channels_out);
    const std::vector<uint8_t> expected = Expected(conv, random.transform);
    for (const tfq::Isa* isa : SupportedIsas()) {
      SCOPED_TRACE(std::string(tfq::IsaName(*isa)) + ", type " +
                   std::to_string(static_cast<int>(type)) + ", " + Describe(o, height, width));
      ASSERT_EQ(RunKernel(conv, random.transform, *isa, num_threads), expected);
    }
  }
}

Bconv2dOptions Options(int channels_in, int channels_out, int kernel, Padding padding) {
  return {channels_in, channels_out, kernel, kernel, 1, 1, 1, 1, 1, padding, 1, false, false};
}

// Around the sizes of words, vectors and panels.
TEST(Bconv2d, EqualsThePlainProductAtAwkwardInputChannels) {
  for (int channels : {1, 3, 31, 32, 33, 63, 64, 65, 127, 128, 129, 257}) {
    ExpectExact(Options(channels, 33, 3, Padding::kSameOne), 1, 4, 5);
  }
}

TEST(Bconv2d, EqualsThePlainProductAtAwkwardOutputChannels) {
  for (int channels : {1,  7,  8,  9,  15, 16, 17,  31,  32,  33,  47,  48, 49,
                       63, 64, 65, 95, 96, 97, 127, 128, 129, 192, 255, 257}) {
    ExpectExact(Options(40, channels, 1, Padding::kValid), 1, 3, 5);
  }
}

TEST(Bconv2d, EqualsThePlainProductAtEveryNumberOfRowsOfATile) {
  for (int width = 1; width <= 17; ++width) {
    ExpectExact(Options(32, 64, 1, Padding::kValid), 1, 1, width);
  }
}

TEST(Bconv2d, EqualsThePlainProductForEveryKernelStrideDilationAndPadding) {
  const int kernels[][2] = {{1, 1}, {3, 3}, {5, 5}, {2, 3}, {7, 7}, {1, 4}};
  const int strides[][2] = {{1, 1}, {2, 2}, {3, 1}};
  const int dilations[][2] = {{1, 1}, {2, 3}};
  for (const auto& kernel : kernels) {
    for (const auto& stride : strides) {
      for (const auto& dilation : dilations) {
        for (Padding padding : {Padding::kValid, Padding::kSameOne, Padding::kSameZero}) {
          const Bconv2dOptions o = {33,        36,          kernel[0],   kernel[1], stride[0],
                                    stride[1], dilation[0], dilation[1], 1,         padding,
                                    1,         false,       false};
          const int extent_y = (kernel[0] - 1) * dilation[0] + 1;
          const int extent_x = (kernel[1] - 1) * dilation[1] + 1;
          const int height = padding == Padding::kValid ? extent_y + 2 : 6;
          const int width = padding == Padding::kValid ? extent_x + 3 : 7;
          ExpectExact(o, 1, height, width);
        }
      }
    }
  }
}

TEST(Bconv2d, CorrectsZerosWhereTheWindowIsLargerThanTheImage) {
  for (int size : {1, 2, 3}) {
    Bconv2dOptions o = Options(20, 70, 7, Padding::kSameZero);
    ExpectExact(o, 2, size, size + 1);
    o.dilation_height = 3;
    ExpectExact(o, 2, size, size + 1);
  }
}

TEST(Bconv2d, EqualsThePlainProductForGroups) {
  const int cases[][3] = {{4, 4, 2},     {64, 64, 2},  {64, 96, 2},  {66, 66, 2},
                          {96, 33, 3},   {12, 24, 12}, {160, 80, 5}, {256, 8, 4},
                          {128, 256, 2}, {70, 2, 2},   {33, 66, 33}};
  for (const auto& sizes : cases) {
    for (Padding padding : {Padding::kValid, Padding::kSameOne, Padding::kSameZero}) {
      Bconv2dOptions o = Options(sizes[0], sizes[1], 3, padding);
      o.groups = sizes[2];
      ExpectExact(o, 2, 4, 3, {.sum_multiplier = true});
      o.is_ternary = true;
      ExpectExact(o, 1, 3, 4);
      o.has_codes = true;
      o.planes = 3;
      ExpectExact(o, 1, 3, 4, {.sum_multiplier = true});
    }
  }
}

TEST(Bconv2d, EqualsThePlainProductForCodesOfOneToFourPlanesAndTernaryWeights) {
  for (int planes = 1; planes <= 4; ++planes) {
    for (bool is_ternary : {false, true}) {
      for (Padding padding : {Padding::kValid, Padding::kSameOne, Padding::kSameZero}) {
        for (int channels : {5, 32, 70}) {
          Bconv2dOptions o = Options(channels, 65, 3, padding);
          o.planes = planes;
          o.has_codes = true;
          o.is_ternary = is_ternary;
          ExpectExact(o, 2, 4, 5, {.integer_bias = true, .sum_multiplier = true});
        }
      }
    }
  }
}

TEST(Bconv2d, EqualsThePlainProductForTernaryWeightsAndSigns) {
  for (Padding padding : {Padding::kValid, Padding::kSameOne, Padding::kSameZero}) {
    for (int channels : {1, 31, 64, 129}) {
      Bconv2dOptions o = Options(channels, 49, 3, padding);
      o.is_ternary = true;
      ExpectExact(o, 1, 5, 4, {.lower = true, .upper = true});
    }
  }
}

// Long enough that counters of 8 and 16 bits overflow on the way.
TEST(Bconv2d, EqualsThePlainProductOfLongWindows) {
  ExpectExact(Options(8192, 32, 3, Padding::kSameOne), 1, 1, 2);
  Bconv2dOptions o = Options(4096, 34, 3, Padding::kSameZero);
  o.is_ternary = true;
  ExpectExact(o, 1, 2, 1);
}

// Every bit differs: the largest counts that there are.
TEST(Bconv2d, CountsEveryBitOfALongWindow) {
  const Bconv2dOptions o = Options(70000, 33, 1, Padding::kValid);
  Convolution conv = RandomConvolution(o, 1, 1, 3, 1);
  for (int& value : conv.input) value = 1;
  for (int& weight : conv.filter) weight = -1;
  const RandomTransform random(OutputType::kFloat, o.channels_out, 1, {}, 1);
  const std::vector<uint8_t> expected = Expected(conv, random.transform);
  for (const tfq::Isa* isa : SupportedIsas()) {
    ASSERT_EQ(RunKernel(conv, random.transform, *isa, 1), expected) << tfq::IsaName(*isa);
  }
}

TEST(Bconv2d, AppliesEveryCombinationOfOptionalInputs) {
  for (int bits = 0; bits < 32; ++bits) {
    const TransformInputs has = {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0,
                                 (bits & 16) != 0};
    for (int channels_out : {20, 64}) {
      ExpectExact(Options(37, channels_out, 3, Padding::kSameZero), 1, 4, 4, has,
                  {OutputType::kFloat, OutputType::kInt8});
    }
  }
}

TEST(Bconv2d, RoundsHalvesToEvenAndSaturatesInt8) {
  const int channels = 6;
  const float infinity = std::numeric_limits<float>::infinity();
  const float multiplier[channels] = {0.5f, -0.5f, 3e38f, -3e38f, 0.5f, 1.0f};
  const float bias[channels] = {0.0f, 0.0f, 0.0f, 0.0f, infinity, -infinity};
  const float sum_multiplier[channels] = {0.0f, 0.0f, 0.0f, 0.0f, -infinity, infinity};  // NaN
  OutputTransform t = {};
  t.type = OutputType::kInt8;
  t.multiplier = multiplier;
  t.bias = bias;
  t.sum_multiplier = sum_multiplier;
  t.zero_point = 3;
  t.low = -100;
  t.high = 90;
  const Convolution conv =
      RandomConvolution(Options(9, channels, 1, Padding::kValid), 1, 16, 16, 3);
  const std::vector<uint8_t> expected = Expected(conv, t);
  for (const tfq::Isa* isa : SupportedIsas()) {
    ASSERT_EQ(RunKernel(conv, t, *isa, 1), expected) << tfq::IsaName(*isa);
  }
}

TEST(Bconv2d, GivesTheSameBytesWithAnyNumberOfThreads) {
  for (int num_threads = 2; num_threads <= 4; ++num_threads) {
    ExpectExact(Options(64, 64, 3, Padding::kSameOne), 1, 9, 9, {}, kAllTypes, num_threads);
    ExpectExact(Options(64, 257, 3, Padding::kSameZero), 1, 3, 3, {.sum_multiplier = true},
                kAllTypes, num_threads);
    Bconv2dOptions o = Options(66, 66, 3, Padding::kSameOne);
    o.groups = 3;
    ExpectExact(o, 2, 5, 5, {.sum_multiplier = true}, kAllTypes, num_threads);
    ExpectExact(Options(128, 10, 1, Padding::kValid), 1, 1, 1, {}, kAllTypes, num_threads);
  }
  // Large enough that its copy is shared out, too.
  ExpectExact(Options(256, 3, 3, Padding::kSameOne), 1, 90, 91, {.sum_multiplier = true},
              {OutputType::kFloat}, 3);
}

TEST(Bconv2d, ComputesADenseLayer) {
  for (int rows : {1, 3, 20}) {
    for (int units : {1, 10, 64, 100}) {
      ExpectExact(tfq::BdenseOptions(100, units, 1, false, false), 1, 1, rows);
      ExpectExact(tfq::BdenseOptions(300, units, 2, true, true), 1, 1, rows);
    }
  }
}

TEST(Bconv2d, HasNothingToDoForAnEmptyBatch) {
  ExpectExact(Options(32, 32, 3, Padding::kSameOne), 0, 4, 4);
}

}  // namespace
}  // namespace tfq_test
