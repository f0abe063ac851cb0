// Sizes that cannot wrap around: past the largest they stay SIZE_MAX.
#ifndef TFQ_KERNELS_SIZES_H_
#define TFQ_KERNELS_SIZES_H_

#include <stddef.h>
#include <stdint.h>

namespace tfq {

inline size_t MultiplySizes(size_t a, size_t b) {
  size_t product;
  return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

inline size_t AddSizes(size_t a, size_t b) {
  size_t sum;
  return __builtin_add_overflow(a, b, &sum) ? SIZE_MAX : sum;
}

template <typename Integer>
Integer CeilDivide(Integer a, Integer b) {
  return a / b + (a % b != 0);
}

// Cuts one block of memory into aligned arrays. With a null block it only counts.
class Arena {
 public:
  static constexpr size_t kAlign = 64;

  explicit Arena(void* memory) : memory_(static_cast<uint8_t*>(memory)) {}

  template <typename T>
  T* Take(size_t count) {
    T* array = memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + bytes_);
    const size_t bytes = MultiplySizes(count, sizeof(T));
    bytes_ = AddSizes(
        bytes_, bytes > SIZE_MAX - kAlign ? SIZE_MAX : (bytes + kAlign - 1) / kAlign * kAlign);
    return array;
  }

  size_t bytes() const { return bytes_; }

 private:
  uint8_t* memory_;
  size_t bytes_ = 0;
};

}  // namespace tfq

#endif  // TFQ_KERNELS_SIZES_H_
