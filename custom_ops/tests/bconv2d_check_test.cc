// What the convolution refuses, and that no option or size makes its arithmetic overflow.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "kernels/bconv2d.h"
#include "tests/guarded.h"

namespace tfq_test {
namespace {

using tfq::Bconv2dOptions;
using tfq::Padding;

constexpr int32_t kHuge = std::numeric_limits<int32_t>::max();

// Plain options, from which every test departs.
Bconv2dOptions Valid() { return {64, 64, 3, 3, 1, 1, 1, 1, 1, Padding::kSameOne, 1, false, false}; }

TEST(CheckBconv2d, AcceptsPlainOptions) { EXPECT_EQ(tfq::CheckBconv2d(Valid()), nullptr); }

TEST(CheckBconv2d, RefusesNumbersBelowOne) {
  int32_t Bconv2dOptions::* const numbers[] = {
      &Bconv2dOptions::channels_in,     &Bconv2dOptions::channels_out,
      &Bconv2dOptions::kernel_height,   &Bconv2dOptions::kernel_width,
      &Bconv2dOptions::stride_height,   &Bconv2dOptions::stride_width,
      &Bconv2dOptions::dilation_height, &Bconv2dOptions::dilation_width,
      &Bconv2dOptions::groups,          &Bconv2dOptions::planes};
  for (auto number : numbers) {
    for (int32_t value : {0, -1, std::numeric_limits<int32_t>::min()}) {
      Bconv2dOptions o = Valid();
      o.*number = value;
      EXPECT_NE(tfq::CheckBconv2d(o), nullptr) << value;
    }
  }
}

TEST(CheckBconv2d, RefusesGroupsThatDoNotDivideTheChannels) {
  Bconv2dOptions o = Valid();
  o.groups = 3;
  EXPECT_NE(tfq::CheckBconv2d(o), nullptr);
  o.channels_in = 66;
  EXPECT_NE(tfq::CheckBconv2d(o), nullptr);
  o.channels_out = 33;
  EXPECT_EQ(tfq::CheckBconv2d(o), nullptr);
}

TEST(CheckBconv2d, RefusesPlanesThatThereAreNot) {
  Bconv2dOptions o = Valid();
  o.planes = 2;
  EXPECT_NE(tfq::CheckBconv2d(o), nullptr);  // values +1, -1 have one
  o.has_codes = true;
  EXPECT_EQ(tfq::CheckBconv2d(o), nullptr);
  o.planes = 5;
  EXPECT_NE(tfq::CheckBconv2d(o), nullptr);
}

TEST(CheckBconv2d, RefusesUnknownPadding) {
  Bconv2dOptions o = Valid();
  o.padding = static_cast<Padding>(3);
  EXPECT_NE(tfq::CheckBconv2d(o), nullptr);
  o.padding = static_cast<Padding>(-1);
  EXPECT_NE(tfq::CheckBconv2d(o), nullptr);
}

TEST(CheckBconv2d, RefusesFiltersThatAreTooLarge) {
  Bconv2dOptions o = {1 << 26, 1, 1, 1, 1, 1, 1, 1, 1, Padding::kValid, 4, true, false};
  EXPECT_EQ(tfq::CheckBconv2d(o), nullptr);
  o.channels_in += 1;
  EXPECT_NE(tfq::CheckBconv2d(o), nullptr);
  o = Valid();
  o.channels_in = o.channels_out = 1 << 20;
  EXPECT_NE(tfq::CheckBconv2d(o), nullptr);
  o.channels_in = o.channels_out = o.groups = kHuge;
  EXPECT_NE(tfq::CheckBconv2d(o), nullptr);
  o = Valid();
  o.kernel_height = o.kernel_width = kHuge;
  EXPECT_NE(tfq::CheckBconv2d(o), nullptr);
}

TEST(CheckBconv2d, RefusesWindowsThatReachTooFar) {
  Bconv2dOptions o = Valid();
  o.dilation_width = kHuge;
  EXPECT_NE(tfq::CheckBconv2d(o), nullptr);
  o.dilation_width = 1;
  o.dilation_height = 1 << 30;
  EXPECT_NE(tfq::CheckBconv2d(o), nullptr);
}

TEST(Bconv2dOutputSize, IsThatOfTensorFlow) {
  Bconv2dOptions o = Valid();
  o.stride_height = 2;
  o.dilation_width = 3;
  int32_t height, width;
  ASSERT_EQ(tfq::Bconv2dOutputSize(o, 9, 11, &height, &width), nullptr);
  EXPECT_EQ(height, 5);
  EXPECT_EQ(width, 11);
  o.padding = Padding::kValid;
  ASSERT_EQ(tfq::Bconv2dOutputSize(o, 9, 11, &height, &width), nullptr);
  EXPECT_EQ(height, 4);
  EXPECT_EQ(width, 5);
}

TEST(Bconv2dOutputSize, RefusesInputsThatAreTooSmallOrTooLarge) {
  Bconv2dOptions o = Valid();
  int32_t height, width;
  for (int64_t bad : {int64_t{0}, int64_t{-1}, int64_t{1} << 31, INT64_MAX, INT64_MIN}) {
    EXPECT_NE(tfq::Bconv2dOutputSize(o, bad, 8, &height, &width), nullptr) << bad;
    EXPECT_NE(tfq::Bconv2dOutputSize(o, 8, bad, &height, &width), nullptr) << bad;
  }
  o.padding = Padding::kValid;
  EXPECT_NE(tfq::Bconv2dOutputSize(o, 2, 8, &height, &width), nullptr);
  EXPECT_EQ(tfq::Bconv2dOutputSize(o, 3, 8, &height, &width), nullptr);
}

size_t ScratchBytes(const Bconv2dOptions& o, const tfq::OutputTransform& transform, int32_t batch,
                    int32_t height, int32_t width) {
  const tfq::Isa& isa = *tfq::SelectIsa("portable");
  Guarded<uint8_t> memory(tfq::Bconv2dPlanBytes(o, isa));
  const std::vector<uint8_t> filter(tfq::Bconv2dFilterBytes(o), 0x5A);
  const auto* plan = tfq::Bconv2dPrepare(o, filter.data(), transform, isa, memory.data());
  return tfq::Bconv2dScratchBytes(*plan, batch, height, width, 1);
}

TEST(Bconv2dScratchBytes, RefusesInputsThatCannotBeComputed) {
  const std::vector<float> ones(64, 1.0f);
  tfq::OutputTransform transform = {};
  transform.multiplier = ones.data();
  transform.sum_multiplier = ones.data();
  Bconv2dOptions o = Valid();
  EXPECT_LT(ScratchBytes(o, transform, 2, 8, 8), size_t{1} << 20);
  for (Padding padding : {Padding::kValid, Padding::kSameOne, Padding::kSameZero}) {
    o.padding = padding;
    EXPECT_EQ(ScratchBytes(o, transform, 1, kHuge, kHuge), SIZE_MAX);
    EXPECT_EQ(ScratchBytes(o, transform, kHuge, 8, 8), SIZE_MAX);
    EXPECT_EQ(ScratchBytes(o, transform, 1, kHuge, 3), SIZE_MAX);
    EXPECT_EQ(ScratchBytes(o, transform, -1, 8, 8), SIZE_MAX);
  }
  o.dilation_height = o.dilation_width = 1 << 20;
  EXPECT_EQ(ScratchBytes(o, transform, 1, 8, 8), SIZE_MAX);  // the padding of SAME
}

// Under UndefinedBehaviorSanitizer, which sees what overflows on the way.
TEST(CheckBconv2d, TakesAnyNumbers) {
  std::mt19937 random(5);
  const auto draw = [&]() -> int32_t {
    switch (random() % 8) {
      case 0:
        return static_cast<int32_t>(random());
      case 1:
        return kHuge - static_cast<int32_t>(random() % 3);
      case 2:
        return 1 << (random() % 31);
      default:
        return static_cast<int32_t>(random() % 5);
    }
  };
  int accepted = 0;
  for (int i = 0; i < 200000; ++i) {
    const Bconv2dOptions o = {draw(),
                              draw(),
                              draw(),
                              draw(),
                              draw(),
                              draw(),
                              draw(),
                              draw(),
                              draw(),
                              static_cast<Padding>(random() % 4),
                              static_cast<int32_t>(random() % 6),
                              random() % 2 == 0,
                              random() % 2 == 0};
    if (tfq::CheckBconv2d(o) != nullptr) continue;
    ++accepted;
    int32_t height, width;
    if (tfq::Bconv2dOutputSize(o, draw(), draw(), &height, &width) == nullptr) {
      EXPECT_GE(height, 1);
      EXPECT_GE(width, 1);
    }
    EXPECT_GE(tfq::Bconv2dFilterBytes(o), 1u);
    for (const tfq::Isa* isa : SupportedIsas()) {
      EXPECT_LT(tfq::Bconv2dPlanBytes(o, *isa), size_t{1} << 40);
    }
  }
  EXPECT_GT(accepted, 100);
}

}  // namespace
}  // namespace tfq_test
