#include "tflite/flexbuffer.h"

#include <string.h>

namespace tfq {
namespace {

enum Kind : uint8_t { kInt = 1, kUint = 2, kIndirectInt = 6, kIndirectUint = 7, kMap = 9 };

constexpr size_t kMaxWidth = 8;

Kind KindOf(uint8_t type) { return static_cast<Kind>(type >> 2); }
size_t WidthOf(uint8_t type) { return size_t{1} << (type & 3); }
bool IsWidth(uint64_t width) { return width == 1 || width == 2 || width == 4 || width == 8; }

}  // namespace

bool FlexbufferMap::HasRoom(size_t at, size_t count, size_t width) const {
  return at <= size_ && count <= (size_ - at) / width;
}

bool FlexbufferMap::ReadUnsigned(size_t at, size_t width, uint64_t* value) const {
  if (!HasRoom(at, 1, width)) return false;
  *value = 0;
  for (size_t i = 0; i < width; ++i) *value |= uint64_t{bytes_[at + i]} << (8 * i);
  return true;
}

bool FlexbufferMap::ReadSigned(size_t at, size_t width, int64_t* value) const {
  uint64_t bits;
  if (!ReadUnsigned(at, width, &bits)) return false;
  const size_t unused = 8 * (kMaxWidth - width);
  *value = static_cast<int64_t>(bits << unused) >> unused;
  return true;
}

bool FlexbufferMap::Follow(size_t at, size_t width, size_t* target) const {
  uint64_t offset;
  if (!ReadUnsigned(at, width, &offset) || offset > at) return false;
  *target = at - static_cast<size_t>(offset);
  return true;
}

bool FlexbufferMap::Open(const void* bytes, size_t size) {
  bytes_ = static_cast<const uint8_t*>(bytes);
  size_ = size;
  count_ = 0;
  if (bytes_ == nullptr || size_ < 3) return false;
  const size_t root_width = bytes_[size_ - 1];
  const uint8_t root_type = bytes_[size_ - 2];
  if (!IsWidth(root_width) || root_width > size_ - 2 || KindOf(root_type) != kMap) return false;
  value_width_ = WidthOf(root_type);
  if (!Follow(size_ - 2 - root_width, root_width, &values_)) return false;

  uint64_t count, key_count, key_width;
  if (values_ < 3 * value_width_ || !ReadUnsigned(values_ - value_width_, value_width_, &count) ||
      !ReadUnsigned(values_ - 2 * value_width_, value_width_, &key_width) ||
      !Follow(values_ - 3 * value_width_, value_width_, &keys_) || !IsWidth(key_width)) {
    return false;
  }
  key_width_ = static_cast<size_t>(key_width);
  if (keys_ < key_width_ || !ReadUnsigned(keys_ - key_width_, key_width_, &key_count) ||
      key_count != count || !HasRoom(keys_, count, key_width_) ||
      !HasRoom(values_, count, value_width_ + 1)) {  // each value has a byte of type
    return false;
  }
  count_ = static_cast<size_t>(count);
  return true;
}

FlexbufferMap::Found FlexbufferMap::Find(const char* key, int64_t* value) const {
  const size_t key_size = strlen(key) + 1;
  // One after the other: keys are sorted in a sound map, but need not be in a broken one.
  for (size_t i = 0; i < count_; ++i) {
    size_t at;
    if (!Follow(keys_ + i * key_width_, key_width_, &at)) return Found::kBroken;
    if (HasRoom(at, key_size, 1) && memcmp(bytes_ + at, key, key_size) == 0) return Read(i, value);
  }
  return Found::kNothing;
}

FlexbufferMap::Found FlexbufferMap::Read(size_t index, int64_t* value) const {
  const uint8_t type = bytes_[values_ + count_ * value_width_ + index];
  const Kind kind = KindOf(type);
  size_t at = values_ + index * value_width_;
  size_t width = value_width_;
  if (kind == kIndirectInt || kind == kIndirectUint) {
    if (!Follow(at, width, &at)) return Found::kBroken;
    width = WidthOf(type);
  } else if (kind != kInt && kind != kUint) {
    return Found::kAnotherType;
  }
  if (kind == kInt || kind == kIndirectInt) {
    return ReadSigned(at, width, value) ? Found::kInteger : Found::kBroken;
  }
  uint64_t bits;
  if (!ReadUnsigned(at, width, &bits)) return Found::kBroken;
  *value = bits > INT64_MAX ? INT64_MAX : static_cast<int64_t>(bits);
  return Found::kInteger;
}

}  // namespace tfq
