// What the kernels compute, in plain loops over unpacked integers. It shares no code with them: an
// image is a vector of +1, -1 or codes, a filter of -1, 0, +1.
#ifndef TFQ_TESTS_REFERENCE_H_
#define TFQ_TESTS_REFERENCE_H_

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "kernels/bconv2d.h"

namespace tfq_test {

using Integers = std::vector<int>;
using Words = std::vector<uint32_t>;

inline int DivideUp(int a, int b) { return (a + b - 1) / b; }

// (rows, channels) of +1 and -1 -> (rows, words): a set bit is -1.
inline Words PackSigns(const Integers& values, int channels) {
  const int rows = static_cast<int>(values.size()) / channels, words = DivideUp(channels, 32);
  Words packed(rows * words, 0);
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < channels; ++c) {
      if (values[r * channels + c] < 0) packed[r * words + c / 32] |= 1u << (c % 32);
    }
  }
  return packed;
}

// (rows, channels) of codes -> (rows, planes, words): plane p has the complement of bit p.
inline Words PackCodes(const Integers& codes, int channels, int planes) {
  const int rows = static_cast<int>(codes.size()) / channels, words = DivideUp(channels, 32);
  Words packed(rows * planes * words, 0);
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < channels; ++c) {
      for (int p = 0; p < planes; ++p) {
        if ((codes[r * channels + c] >> p & 1) == 0) {
          packed[(r * planes + p) * words + c / 32] |= 1u << (c % 32);
        }
      }
    }
  }
  return packed;
}

// (channels_out, k) of -1, 0, +1 -> signs, and behind them the mask if ternary, densely by channel.
inline std::vector<uint8_t> PackFilter(const Integers& filter, int channels_out, bool is_ternary) {
  const int k = static_cast<int>(filter.size()) / channels_out, bytes = DivideUp(k, 8);
  std::vector<uint8_t> packed((is_ternary ? 2 : 1) * channels_out * bytes, 0);
  for (int c = 0; c < channels_out; ++c) {
    for (int i = 0; i < k; ++i) {
      const int weight = filter[c * k + i], bit = 1 << (i % 8);
      if (weight < 0) packed[c * bytes + i / 8] |= bit;
      if (weight != 0 && is_ternary) packed[(channels_out + c) * bytes + i / 8] |= bit;
    }
  }
  return packed;
}

struct Convolution {
  tfq::Bconv2dOptions options;
  int batch, height, width;
  Integers input;   // batch x height x width x channels_in
  Integers filter;  // channels_out x kernel_height x kernel_width x channels_in / groups
};

// A convolution with random values.
inline Convolution RandomConvolution(const tfq::Bconv2dOptions& o, int batch, int height, int width,
                                     uint32_t seed) {
  std::mt19937 random(seed);
  Convolution conv = {o, batch, height, width, {}, {}};
  const int inputs = batch * height * width * o.channels_in;
  for (int i = 0; i < inputs; ++i) {
    conv.input.push_back(o.has_codes ? random() % (1u << o.planes) : (random() % 2 ? 1 : -1));
  }
  const int weights =
      o.channels_out * o.kernel_height * o.kernel_width * (o.channels_in / o.groups);
  for (int i = 0; i < weights; ++i) {
    conv.filter.push_back(o.is_ternary ? static_cast<int>(random() % 3) - 1
                                       : (random() % 2 ? 1 : -1));
  }
  return conv;
}

struct Accumulators {
  int height, width;
  Integers values;       // batch x height x width x channels_out
  Integers window_sums;  // the same: the group's sum at each of its channels
};

// Output size and padding in front as TensorFlow defines them.
struct Dimension {
  int size, pad;

  Dimension(int input, int kernel, int stride, int dilation, bool is_same) {
    const int extent = (kernel - 1) * dilation + 1;
    size = is_same ? DivideUp(input, stride) : DivideUp(input - extent + 1, stride);
    const int padding = (size - 1) * stride + extent - input;
    pad = is_same && padding > 0 ? padding / 2 : 0;
  }
};

inline Accumulators Convolve(const Convolution& conv) {
  const tfq::Bconv2dOptions& o = conv.options;
  const bool is_same = o.padding != tfq::Padding::kValid;
  const Dimension y_of(conv.height, o.kernel_height, o.stride_height, o.dilation_height, is_same);
  const Dimension x_of(conv.width, o.kernel_width, o.stride_width, o.dilation_width, is_same);
  const int inputs = o.channels_in / o.groups, outputs = o.channels_out / o.groups;
  const int pad_value = o.padding == tfq::Padding::kSameOne && !o.has_codes ? 1 : 0;
  Accumulators result = {y_of.size, x_of.size, {}, {}};
  for (int n = 0; n < conv.batch; ++n) {
    for (int y = 0; y < y_of.size; ++y) {
      for (int x = 0; x < x_of.size; ++x) {
        for (int c = 0; c < o.channels_out; ++c) {
          int sum = 0, window_sum = 0;
          const int* weight = &conv.filter[c * o.kernel_height * o.kernel_width * inputs];
          for (int i = 0; i < o.kernel_height; ++i) {
            for (int j = 0; j < o.kernel_width; ++j) {
              const int row = y * o.stride_height + i * o.dilation_height - y_of.pad;
              const int column = x * o.stride_width + j * o.dilation_width - x_of.pad;
              const bool is_inside =
                  row >= 0 && row < conv.height && column >= 0 && column < conv.width;
              for (int k = 0; k < inputs; ++k) {
                const int position = (n * conv.height + row) * conv.width + column;
                const int channel = c / outputs * inputs + k;
                const int value =
                    is_inside ? conv.input[position * o.channels_in + channel] : pad_value;
                sum += value * *weight++;
                window_sum += value;
              }
            }
          }
          result.values.push_back(sum);
          result.window_sums.push_back(window_sum);
        }
      }
    }
  }
  return result;
}

// y of one accumulator (float32, each operation rounded).
inline float TransformToFloat(const tfq::OutputTransform& t, int channel, int acc, int window_sum) {
  if (t.integer_bias != nullptr) acc += t.integer_bias[channel];
  volatile float y = static_cast<float>(acc);
  if (t.lower != nullptr) y = std::fmax(y, t.lower[channel]);
  if (t.upper != nullptr) y = std::fmin(y, t.upper[channel]);
  y = y * t.multiplier[channel];
  y = y + (t.bias == nullptr ? 0.0f : t.bias[channel]);
  if (t.sum_multiplier != nullptr) {
    volatile float product = static_cast<float>(window_sum) * t.sum_multiplier[channel];
    y = y + product;
  }
  return y;
}

inline int TransformToInt8(const tfq::OutputTransform& t, float y) {
  if (std::isnan(y)) return t.low;
  const double rounded = std::nearbyint(static_cast<double>(y)) + t.zero_point;
  return static_cast<int>(std::fmin(std::fmax(rounded, t.low), t.high));
}

// Whether the output value is -1.
inline bool TransformToBit(const tfq::OutputTransform& t, int channel, int acc) {
  const bool flip = t.flips[channel / 32] >> (channel % 32) & 1;
  return (acc < t.thresholds[channel]) != flip;
}

}  // namespace tfq_test

#endif  // TFQ_TESTS_REFERENCE_H_
