// Buffers of exactly the size asked for, between guard bytes that nothing may touch. Under
// AddressSanitizer reads past them are found as well, since nothing is behind the last guard.
#ifndef TFQ_TESTS_GUARDED_H_
#define TFQ_TESTS_GUARDED_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/isa.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define TFQ_POISON(address, size) ASAN_POISON_MEMORY_REGION(address, size)
#define TFQ_UNPOISON(address, size) ASAN_UNPOISON_MEMORY_REGION(address, size)
#else
#define TFQ_POISON(address, size)
#define TFQ_UNPOISON(address, size)
#endif

namespace tfq_test {

template <typename T>
class Guarded {
 public:
  static constexpr size_t kGuardBytes = 64;  // and the alignment

  explicit Guarded(size_t count) : count_(count), bytes_(count * sizeof(T)) {
    const size_t size = (bytes_ + 3 * kGuardBytes - 1) / kGuardBytes * kGuardBytes;
    memory_ = static_cast<uint8_t*>(std::aligned_alloc(kGuardBytes, size));
    std::memset(memory_, kGuard, kGuardBytes + bytes_ + kGuardBytes);
    Poison();
  }

  explicit Guarded(const std::vector<T>& values) : Guarded(values.size()) {
    std::copy(values.begin(), values.end(), data());
  }

  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  ~Guarded() {
    Unpoison();
    std::free(memory_);
  }

  T* data() { return reinterpret_cast<T*>(memory_ + kGuardBytes); }
  const T* data() const { return reinterpret_cast<const T*>(memory_ + kGuardBytes); }

  std::vector<T> values() const { return {data(), data() + count_}; }

  bool guards_hold() const {
    Unpoison();
    const auto is_guard = [](uint8_t byte) { return byte == kGuard; };
    const uint8_t* behind = memory_ + kGuardBytes + bytes_;
    const bool hold = std::all_of(memory_, memory_ + kGuardBytes, is_guard) &&
                      std::all_of(behind, behind + kGuardBytes, is_guard);
    Poison();
    return hold;
  }

 private:
  static constexpr uint8_t kGuard = 0xA5;

  void Poison() const {
    TFQ_POISON(memory_, kGuardBytes);
    TFQ_POISON(memory_ + kGuardBytes + bytes_, kGuardBytes);
  }
  void Unpoison() const {
    TFQ_UNPOISON(memory_, kGuardBytes);
    TFQ_UNPOISON(memory_ + kGuardBytes + bytes_, kGuardBytes);
  }

  size_t count_, bytes_;
  uint8_t* memory_;
};

// Rows of the table that this processor can run.
inline std::vector<const tfq::Isa*> SupportedIsas() {
  std::vector<const tfq::Isa*> isas;
  for (int i = 0; tfq::IsaAt(i) != nullptr; ++i) {
    if (tfq::IsaIsSupported(*tfq::IsaAt(i))) isas.push_back(tfq::IsaAt(i));
  }
  return isas;
}

}  // namespace tfq_test

#endif  // TFQ_TESTS_GUARDED_H_
