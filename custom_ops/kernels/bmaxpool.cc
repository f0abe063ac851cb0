#include "kernels/bmaxpool.h"

#include <string.h>

#include "kernels/sizes.h"

namespace tfq {

namespace {

constexpr int64_t kMinWordsOfTask = 1 << 14;

const char* OutputLength(int64_t input, int32_t kernel, int32_t stride, bool is_same,
                         int32_t* output) {
  if (input < 1) return "the input must have a height and width of at least 1";
  if (input > INT32_MAX) return "the input's height and width must be below 2^31";
  if (!is_same && kernel > input) return "the input is smaller than the window, and not padded";
  const int64_t positions = is_same ? input : input - kernel + 1;
  *output = static_cast<int32_t>(CeilDivide<int64_t>(positions, stride));
  return nullptr;
}

// What a window covers of one dimension of the input.
struct Span {
  int64_t begin, end;

  Span(int64_t index, int64_t stride, int64_t kernel, int64_t pad, int64_t size) {
    const int64_t start = index * stride - pad;
    begin = start > 0 ? start : 0;
    end = start + kernel < size ? start + kernel : size;
  }
};

int64_t PadBefore(int64_t input, int64_t output, int64_t kernel, int64_t stride) {
  const int64_t padding = (output - 1) * stride + kernel - input;
  return padding > 0 ? padding / 2 : 0;
}

// The AND of the blocks of a window: `from` is its first one, `to` takes the result.
template <typename Block>
void PoolBlock(const uint32_t* from, int64_t rows, int64_t columns, int64_t row_words,
               int64_t column_words, uint32_t* to) {
  Block all;
  memset(&all, 0xFF, sizeof(all));
  for (int64_t i = 0; i < rows; ++i, from += row_words) {
    for (int64_t j = 0; j < columns; ++j) {
      Block block;
      memcpy(&block, from + j * column_words, sizeof(block));
      all &= block;
    }
  }
  memcpy(to, &all, sizeof(all));
}

typedef uint32_t FourWords __attribute__((vector_size(16)));

}  // namespace

const char* CheckBmaxpool(const BmaxpoolOptions& o) {
  if (o.kernel_height < 1 || o.kernel_width < 1) return "kernel sizes must be at least 1";
  if (o.stride_height < 1 || o.stride_width < 1) return "strides must be at least 1";
  return nullptr;
}

const char* BmaxpoolOutputSize(const BmaxpoolOptions& o, int64_t height, int64_t width,
                               int32_t* output_height, int32_t* output_width) {
  const char* reason =
      OutputLength(height, o.kernel_height, o.stride_height, o.is_same, output_height);
  if (reason != nullptr) return reason;
  return OutputLength(width, o.kernel_width, o.stride_width, o.is_same, output_width);
}

void BmaxpoolRun(const Isa&, const BmaxpoolOptions& o, const uint32_t* input, int32_t batch,
                 int32_t height, int32_t width, int32_t words, uint32_t* output,
                 const Parallel& parallel) {
  int32_t output_height, output_width;
  if (BmaxpoolOutputSize(o, height, width, &output_height, &output_width) != nullptr) return;
  const int64_t pad_top =
      o.is_same ? PadBefore(height, output_height, o.kernel_height, o.stride_height) : 0;
  const int64_t pad_left =
      o.is_same ? PadBefore(width, output_width, o.kernel_width, o.stride_width) : 0;
  // Every window meets the input.
  const auto pool_rows = [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const uint32_t* image = input + row / output_height * height * width * words;
      const Span ys(row % output_height, o.stride_height, o.kernel_height, pad_top, height);
      for (int64_t x = 0; x < output_width; ++x) {
        const Span xs(x, o.stride_width, o.kernel_width, pad_left, width);
        const uint32_t* from = image + (ys.begin * width + xs.begin) * words;
        uint32_t* to = output + (row * output_width + x) * words;
        int32_t w = 0;
        const auto pool = [&](auto pool_block, int32_t block_words) {
          for (; w + block_words <= words; w += block_words) {
            pool_block(from + w, ys.end - ys.begin, xs.end - xs.begin, int64_t{width} * words,
                       words, to + w);
          }
        };
        pool(PoolBlock<FourWords>, 4);
        pool(PoolBlock<uint64_t>, 2);
        pool(PoolBlock<uint32_t>, 1);
      }
    }
  };
  const int64_t row_words = int64_t{output_width} * words;
  ForRanges(parallel, int64_t{batch} * output_height, kMinWordsOfTask / (row_words + 1), pool_rows);
}

}  // namespace tfq
