// Writes a flexbuffer map of integers, for tests of what reads it. All numbers have one width.
#ifndef TFQ_TESTS_FLEXBUFFER_WRITER_H_
#define TFQ_TESTS_FLEXBUFFER_WRITER_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tfq {

using OptionMap = std::map<std::string, int64_t>;  // sorted, as the format wants its keys

class FlexbufferWriter {
 public:
  static constexpr int kInt = 1, kUint = 2, kFloat = 3, kIndirectInt = 6, kIndirectUint = 7;

  // `width`: 1, 2, 4 or 8 bytes. Indirect values are written with `indirect_width` bytes.
  explicit FlexbufferWriter(int width = 8, int kind = kInt, int indirect_width = 8)
      : width_(width), kind_(kind), indirect_width_(indirect_width) {}

  std::vector<uint8_t> Write(const OptionMap& options) {
    bytes_.clear();
    std::vector<size_t> keys, values;
    for (const auto& [key, value] : options) {
      keys.push_back(bytes_.size());
      bytes_.insert(bytes_.end(), key.begin(), key.end());
      bytes_.push_back(0);
    }
    const bool is_indirect = kind_ == kIndirectInt || kind_ == kIndirectUint;
    for (const auto& [key, value] : options) {
      values.push_back(bytes_.size());
      if (is_indirect) Number(value, indirect_width_);
    }
    Number(options.size(), width_);
    const size_t keys_vector = bytes_.size();
    for (size_t key : keys) Offset(key);

    Offset(keys_vector);
    Number(width_, width_);
    Number(options.size(), width_);
    const size_t map = bytes_.size();
    size_t i = 0;
    for (const auto& [key, value] : options) {
      if (is_indirect) {
        Offset(values[i++]);
      } else {
        Number(value, width_);
      }
    }
    const int value_width = is_indirect ? indirect_width_ : width_;
    for (i = 0; i < options.size(); ++i) bytes_.push_back(Type(kind_, value_width));
    Offset(map);
    bytes_.push_back(Type(/*map*/ 9, width_));
    bytes_.push_back(static_cast<uint8_t>(width_));
    return bytes_;
  }

 private:
  static uint8_t Type(int kind, int width) {
    return static_cast<uint8_t>(kind << 2 | (width == 8 ? 3 : width / 2));
  }
  void Number(int64_t value, int width) {
    for (int i = 0; i < width; ++i) bytes_.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }
  void Offset(size_t target) { Number(static_cast<int64_t>(bytes_.size() - target), width_); }

  int width_, kind_, indirect_width_;
  std::vector<uint8_t> bytes_;
};

}  // namespace tfq

#endif  // TFQ_TESTS_FLEXBUFFER_WRITER_H_
