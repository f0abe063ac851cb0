// The options of a custom operator: a flexbuffer map of integers, each key with its range.
#ifndef TFQ_TFLITE_OPTIONS_H_
#define TFQ_TFLITE_OPTIONS_H_

#include <stddef.h>
#include <stdint.h>

#include "tflite/reason.h"

namespace tfq {

constexpr int32_t kOperatorVersion = 1;

// Far beyond any layer, and small enough that a product of three fits 64 bits.
constexpr int32_t kMaxSize = 1 << 16;
constexpr int32_t kMaxChannels = 1 << 24;

struct Option {
  const char* key;
  int32_t* value;
  int32_t lowest, highest;
};

bool ReadOptions(const void* bytes, size_t size, const Option* options, size_t count,
                 Reason* reason);

template <size_t count>
bool ReadOptions(const void* bytes, size_t size, const Option (&options)[count], Reason* reason) {
  return ReadOptions(bytes, size, options, count, reason);
}

}  // namespace tfq

#endif  // TFQ_TFLITE_OPTIONS_H_
