#include "kernels/bitpack.h"

#include <string.h>

#include "kernels/bits.h"
#include "kernels/isa_table.h"

namespace tfq {

namespace {

// A task below this many values costs more to start than it saves.
constexpr int64_t kMinValuesOfTask = 1 << 16;
// Values that are packed at a time: the blocks of their rows share cache lines.
constexpr size_t kValuesOfPass = 1 << 13;

// Packs `rows` rows of a buffer that ends at `end`, in blocks of 32 channels, by
// pack(values, stride, rows, first_channel, num_channels, words). A block always has 32 values to
// read: where a ragged one is not followed by others' it is copied.
template <typename T, typename Pack>
void PackBlocks(const T* values, const T* end, size_t rows, size_t channels, size_t words_of_row,
                uint32_t* words, const Pack& pack) {
  const size_t whole = channels / kWordBits * kWordBits;
  for (size_t c = 0; c < whole; c += kWordBits) {
    pack(values + c, channels, rows, c, kWordBits, words + c / kWordBits);
  }
  const int rest = static_cast<int>(channels - whole);
  if (rest == 0) return;
  values += whole;
  words += whole / kWordBits;
  size_t readable = 0;  // rows
  if (end - values >= kWordBits) readable = (end - values - kWordBits) / channels + 1;
  if (readable > rows) readable = rows;
  if (readable > 0) pack(values, channels, readable, whole, rest, words);
  for (size_t r = readable; r < rows; ++r) {
    T copy[kWordBits] = {};
    memcpy(copy, values + r * channels, rest * sizeof(T));
    pack(copy, size_t{kWordBits}, size_t{1}, whole, rest, words + r * words_of_row);
  }
}

template <typename T, typename Pack>
void PackRows(const T* values, size_t rows, size_t channels, size_t words_of_row, uint32_t* words,
              const Parallel& parallel, const Pack& pack) {
  if (rows == 0 || channels == 0) return;
  const auto min_rows = static_cast<int64_t>(kMinValuesOfTask / channels + 1);
  const auto rows_of_pass = static_cast<int64_t>(kValuesOfPass / channels + 1);
  const T* end = values + rows * channels;
  ForRanges(parallel, static_cast<int64_t>(rows), min_rows, [&](int64_t begin, int64_t stop) {
    for (int64_t r = begin; r < stop; r += rows_of_pass) {
      const int64_t count = stop - r < rows_of_pass ? stop - r : rows_of_pass;
      PackBlocks(values + r * channels, end, count, channels, words_of_row,
                 words + r * words_of_row, pack);
    }
  });
}

}  // namespace

void BitpackFloat(const Isa& isa, const float* values, size_t rows, size_t channels,
                  const float* thresholds, bool per_channel, uint32_t* words,
                  const Parallel& parallel) {
  const size_t words_of_row = WordsFor(channels);
  PackRows(
      values, rows, channels, words_of_row, words, parallel,
      [&](const float* block, size_t stride, size_t count, size_t first, int num, uint32_t* to) {
        float block_thresholds[kWordBits];
        for (int c = 0; c < kWordBits; ++c) {
          // Nothing is below -infinity: the bits of padding are clear.
          block_thresholds[c] =
              c < num ? thresholds[per_channel ? first + c : 0] : -__builtin_inff();
        }
        isa.bitpack_float(block, stride, count, block_thresholds, to, words_of_row);
      });
}

void BitpackInt8(const Isa& isa, const int8_t* values, size_t rows, size_t channels,
                 const int32_t* thresholds, bool per_channel, uint32_t* words,
                 const Parallel& parallel) {
  const size_t words_of_row = WordsFor(channels);
  PackRows(
      values, rows, channels, words_of_row, words, parallel,
      [&](const int8_t* block, size_t stride, size_t count, size_t first, int num, uint32_t* to) {
        int8_t block_thresholds[kWordBits];
        uint32_t always = 0;
        for (int c = 0; c < kWordBits; ++c) {
          const int32_t threshold = c < num ? thresholds[per_channel ? first + c : 0] : INT8_MIN;
          always |= static_cast<uint32_t>(threshold > INT8_MAX) << c;
          block_thresholds[c] = static_cast<int8_t>(threshold < INT8_MIN   ? INT8_MIN
                                                    : threshold > INT8_MAX ? INT8_MAX
                                                                           : threshold);
        }
        isa.bitpack_int8(block, stride, count, block_thresholds, always, to, words_of_row);
      });
}

void BitpackPlanes(const Isa& isa, const int8_t* values, size_t rows, size_t channels, int planes,
                   int lowest, uint32_t* words, const Parallel& parallel) {
  const size_t plane_words = WordsFor(channels);
  // Past these the codes are all the same. What int8 cannot say is a second difference.
  constexpr int kLeast = INT8_MIN - ((1 << kMaxPlanes) - 1);
  const int bounded = lowest < kLeast ? kLeast : lowest > INT8_MAX ? INT8_MAX : lowest;
  const int first = bounded < INT8_MIN ? INT8_MIN : bounded;
  PackRows(values, rows, channels, planes * plane_words, words, parallel,
           [&](const int8_t* block, size_t stride, size_t count, size_t, int num, uint32_t* to) {
             isa.bitpack_planes(block, stride, count, planes, static_cast<int8_t>(first),
                                static_cast<int8_t>(bounded - first), LastWordMask(num), to,
                                planes * plane_words, plane_words);
           });
}

}  // namespace tfq
