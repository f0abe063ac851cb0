// Reads integers out of a flexbuffer map (https://flatbuffers.dev/flexbuffers), the format of
// custom operators' options. Any bytes may be given: nothing outside of them is read.
//
// A flexbuffer is read from its end, and offsets are distances backwards:
//
//   ... keys vector ... [offset of keys][byte width of keys][count] values.. types..  root type
//   width
//                                                                   ^ the map
//
// Numbers are little-endian, 1, 2, 4 or 8 bytes wide. A type is `kind << 2 | log2(byte width)`.
#ifndef TFQ_TFLITE_FLEXBUFFER_H_
#define TFQ_TFLITE_FLEXBUFFER_H_

#include <stddef.h>
#include <stdint.h>

namespace tfq {

class FlexbufferMap {
 public:
  enum class Found { kInteger, kNothing, kAnotherType, kBroken };

  // The bytes must outlive the map. Returns false if they are no map.
  bool Open(const void* bytes, size_t size);

  // Integers of any width, inline or indirect. An unsigned one beyond int64 counts as its maximum.
  Found Find(const char* key, int64_t* value) const;

 private:
  bool ReadUnsigned(size_t at, size_t width, uint64_t* value) const;
  bool ReadSigned(size_t at, size_t width, int64_t* value) const;
  bool Follow(size_t at, size_t width, size_t* target) const;
  bool HasRoom(size_t at, size_t count, size_t width) const;
  Found Read(size_t index, int64_t* value) const;

  const uint8_t* bytes_ = nullptr;
  size_t size_ = 0;
  size_t count_ = 0;
  size_t keys_ = 0, key_width_ = 0;      // where the keys vector begins, bytes of an element
  size_t values_ = 0, value_width_ = 0;  // likewise the values
};

}  // namespace tfq

#endif  // TFQ_TFLITE_FLEXBUFFER_H_
