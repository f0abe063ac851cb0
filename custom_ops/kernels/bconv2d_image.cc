// What a convolution reads: the input with its padding, and sums of it.
#include "kernels/bconv2d_image.h"

#include <string.h>

#include "kernels/bits.h"

namespace tfq {

namespace {

// A task that copies less than this costs more to start than it saves.
constexpr int64_t kMinWordsOfTask = 1 << 15;

// Pixels of the value +1, or of code 0, in which every true bit is set.
void FillPadding(const Bconv2dPlan& plan, int32_t image_words, int64_t pixels, uint32_t* image) {
  if (!plan.options.has_codes) {
    memset(image, 0, pixels * image_words * sizeof(uint32_t));
    return;
  }
  const uint32_t last = LastWordMask(plan.inputs_of_group);
  const int64_t words = pixels * image_words;  // whole groups of words
  for (int64_t i = 0; i < words; i += plan.words_of_group) {
    for (int32_t w = 0; w < plan.words_of_group; ++w) {
      image[i + w] = w == plan.words_of_group - 1 ? last : ~0u;
    }
  }
}

// Moves every group of a pixel to words of its own.
void SplitWords(const Bconv2dPlan& plan, const uint32_t* input, int32_t pixels, uint32_t* image) {
  const Bconv2dOptions& o = plan.options;
  const size_t input_words = WordsFor(o.channels_in);
  for (int64_t i = 0; i < int64_t{pixels} * o.planes; ++i, input += input_words) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(input);
    for (int32_t group = 0; group < o.groups; ++group) {
      const size_t first = static_cast<size_t>(group) * plan.inputs_of_group;
      for (int32_t c = 0; c < plan.inputs_of_group; c += kWordBits) {
        const int32_t rest = plan.inputs_of_group - c;
        *image++ = ReadBits(bytes, first + c, rest < kWordBits ? rest : kWordBits);
      }
    }
  }
}

// Adds the counts of the pixels, one in `stride`, to the sums of a row.
void AddPops(const int32_t* __restrict pops, int32_t pixels, int32_t groups, int32_t stride,
             int32_t* __restrict sums) {
  if (stride == 1) {
    const int64_t count = int64_t{pixels} * groups;
    for (int64_t i = 0; i < count; ++i) sums[i] += pops[i];
    return;
  }
  for (int32_t x = 0; x < pixels; ++x, pops += int64_t{stride} * groups, sums += groups) {
    for (int32_t group = 0; group < groups; ++group) sums[group] += pops[group];
  }
}

}  // namespace

void CopyImage(const Bconv2dPlan& plan, const Bconv2dGeometry& g, const uint32_t* input,
               int32_t batch, int32_t height, int32_t width, uint32_t* image,
               const Parallel& parallel) {
  const int64_t input_row = int64_t{width} * plan.options.planes *
                            static_cast<int64_t>(WordsFor(plan.options.channels_in));
  const int64_t image_row = int64_t{g.image_width} * g.image_words;
  const auto copy_rows = [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      uint32_t* to = image + row * image_row;
      const int64_t y = row % g.image_height - g.pad_top;
      if (y < 0 || y >= height) {
        FillPadding(plan, g.image_words, g.image_width, to);
        continue;
      }
      const uint32_t* from = input + (row / g.image_height * height + y) * input_row;
      FillPadding(plan, g.image_words, g.pad_left, to);
      to += int64_t{g.pad_left} * g.image_words;
      if (plan.has_split_words()) {
        SplitWords(plan, from, width, to);
      } else {
        memcpy(to, from, input_row * sizeof(uint32_t));
      }
      to += int64_t{width} * g.image_words;
      FillPadding(plan, g.image_words, g.image_width - width - g.pad_left, to);
    }
  };
  ForRanges(parallel, int64_t{batch} * g.image_height, kMinWordsOfTask / image_row, copy_rows);
}

void SumWindows(const Bconv2dPlan& plan, const Bconv2dGeometry& g, const uint32_t* image,
                int32_t batch, int32_t height, int32_t width, int32_t* pixel_pops,
                int32_t* window_sums, const Parallel& parallel) {
  const Bconv2dOptions& o = plan.options;
  const int32_t groups = o.groups, words = plan.words_of_group;
  const auto count_bits = [&](int64_t begin, int64_t end) {
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      for (int32_t group = 0; group < groups; ++group) {
        int32_t pop = 0;
        for (int32_t p = o.planes - 1; p >= 0; --p) {
          const uint32_t* word =
              image + pixel * g.image_words + (int64_t{p} * groups + group) * words;
          pop *= 2;
          for (int32_t w = 0; w < words; ++w) pop += CountBits(word[w]);
        }
        pixel_pops[pixel * groups + group] = pop;
      }
    }
  };
  const int64_t pixels = int64_t{batch} * g.image_height * g.image_width;
  ForRanges(parallel, pixels, kMinWordsOfTask / g.image_words, count_bits);

  const int32_t taps = o.kernel_height * o.kernel_width;
  const int64_t row_sums = int64_t{g.output_width} * groups;
  const auto sum_rows = [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t top = row % g.output_height * o.stride_height;
      const int64_t image_row = row / g.output_height * g.image_height + top;
      int32_t* sums = window_sums + row * row_sums;
      memset(sums, 0, row_sums * sizeof(int32_t));
      for (int32_t i = 0; i < o.kernel_height; ++i) {
        const int64_t tap_row = image_row + int64_t{i} * o.dilation_height;
        for (int32_t j = 0; j < o.kernel_width; ++j) {
          const int64_t tap = tap_row * g.image_width + int64_t{j} * o.dilation_width;
          AddPops(pixel_pops + tap * groups, g.output_width, groups, o.stride_width, sums);
        }
      }
      const TapRange inside_y =
          TapsInside(top - g.pad_top, o.kernel_height, o.dilation_height, height);
      for (int32_t x = 0; x < g.output_width; ++x) {
        int32_t num_taps = taps;
        if (plan.tap_sums != nullptr) {  // padding is 0 and not the +1 of its clear bits
          const TapRange inside_x = TapsInside(int64_t{x} * o.stride_width - g.pad_left,
                                               o.kernel_width, o.dilation_width, width);
          num_taps = (inside_y.last - inside_y.first) * (inside_x.last - inside_x.first);
        }
        const int32_t all = num_taps * plan.inputs_of_group * plan.levels();
        for (int32_t group = 0; group < groups; ++group, ++sums) {
          *sums = all - (*sums << plan.shift);
        }
      }
    }
  };
  ForRanges(parallel, int64_t{batch} * g.output_height, kMinWordsOfTask / (row_sums * taps),
            sum_rows);
}

}  // namespace tfq
