// Pooled words against the maximum of +1 and -1, in plain loops.
#include "kernels/bmaxpool.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/guarded.h"
#include "tests/reference.h"
#include "tests/threads.h"

namespace tfq_test {
namespace {

using tfq::BmaxpoolOptions;

Integers MaxPool(const BmaxpoolOptions& o, const Integers& input, int batch, int height, int width,
                 int channels) {
  const Dimension y_of(height, o.kernel_height, o.stride_height, 1, o.is_same);
  const Dimension x_of(width, o.kernel_width, o.stride_width, 1, o.is_same);
  Integers output;
  for (int n = 0; n < batch; ++n) {
    for (int y = 0; y < y_of.size; ++y) {
      for (int x = 0; x < x_of.size; ++x) {
        for (int c = 0; c < channels; ++c) {
          int best = -1;
          for (int i = 0; i < o.kernel_height; ++i) {
            for (int j = 0; j < o.kernel_width; ++j) {
              const int row = y * o.stride_height + i - y_of.pad;
              const int column = x * o.stride_width + j - x_of.pad;
              if (row < 0 || row >= height || column < 0 || column >= width) continue;
              best = std::max(best, input[((n * height + row) * width + column) * channels + c]);
            }
          }
          output.push_back(best);
        }
      }
    }
  }
  return output;
}

void ExpectPooled(const BmaxpoolOptions& o, int batch, int height, int width, int channels,
                  int num_threads) {
  SCOPED_TRACE(std::to_string(height) + "x" + std::to_string(width) + "x" +
               std::to_string(channels) + " kernel " + std::to_string(o.kernel_height) + "x" +
               std::to_string(o.kernel_width) + " stride " + std::to_string(o.stride_height) + "x" +
               std::to_string(o.stride_width) + (o.is_same ? " same" : " valid"));
  ASSERT_EQ(tfq::CheckBmaxpool(o), nullptr);
  std::mt19937 random(channels * 31 + height);
  Integers values;
  // Few +1, so that the maximum is not always theirs.
  for (int i = 0; i < batch * height * width * channels; ++i) {
    values.push_back(random() % 8 == 0 ? 1 : -1);
  }
  const Words expected = PackSigns(MaxPool(o, values, batch, height, width, channels), channels);
  const Guarded<uint32_t> input(PackSigns(values, channels));
  int32_t output_height, output_width;
  ASSERT_EQ(tfq::BmaxpoolOutputSize(o, height, width, &output_height, &output_width), nullptr);
  const int words = DivideUp(channels, 32);
  ASSERT_EQ(expected.size(), static_cast<size_t>(batch * output_height * output_width * words));
  for (const tfq::Isa* isa : SupportedIsas()) {
    Guarded<uint32_t> output(expected.size());
    Threads threads(num_threads);
    tfq::BmaxpoolRun(*isa, o, input.data(), batch, height, width, words, output.data(),
                     threads.parallel());
    ASSERT_EQ(output.values(), expected) << tfq::IsaName(*isa);
    ASSERT_TRUE(output.guards_hold()) << tfq::IsaName(*isa);
  }
}

TEST(Bmaxpool, IsTheMaximumForEveryKernelStrideAndPadding) {
  for (int kernel_height : {1, 2, 3}) {
    for (int kernel_width : {1, 2, 4}) {
      for (int stride_height : {1, 2, 3}) {
        for (int stride_width : {1, 2}) {
          for (bool is_same : {false, true}) {
            const BmaxpoolOptions o = {kernel_height, kernel_width, stride_height, stride_width,
                                       is_same};
            for (int channels : {1, 32, 65}) ExpectPooled(o, 2, 5, 6, channels, 1);
          }
        }
      }
    }
  }
}

TEST(Bmaxpool, PoolsWindowsLargerThanThePaddedImage) {
  ExpectPooled({7, 9, 1, 2, true}, 1, 2, 3, 40, 1);
}

TEST(Bmaxpool, SharesLargeInputsOut) {
  for (int num_threads : {1, 2, 4}) ExpectPooled({3, 3, 2, 2, true}, 3, 61, 60, 300, num_threads);
}

TEST(Bmaxpool, RefusesWhatCannotBePooled) {
  EXPECT_NE(tfq::CheckBmaxpool({0, 1, 1, 1, true}), nullptr);
  EXPECT_NE(tfq::CheckBmaxpool({1, -1, 1, 1, true}), nullptr);
  EXPECT_NE(tfq::CheckBmaxpool({1, 1, 0, 1, true}), nullptr);
  EXPECT_NE(tfq::CheckBmaxpool({1, 1, 1, -5, true}), nullptr);
  int32_t height, width;
  EXPECT_NE(tfq::BmaxpoolOutputSize({3, 3, 1, 1, false}, 2, 3, &height, &width), nullptr);
  EXPECT_NE(tfq::BmaxpoolOutputSize({3, 3, 1, 1, true}, 0, 3, &height, &width), nullptr);
  EXPECT_NE(tfq::BmaxpoolOutputSize({3, 3, 1, 1, true}, 3, int64_t{1} << 31, &height, &width),
            nullptr);
}

}  // namespace
}  // namespace tfq_test
