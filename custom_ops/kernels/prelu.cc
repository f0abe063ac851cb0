#include "kernels/prelu.h"

#include "kernels/isa_table.h"

namespace tfq {

void Prelu(const Isa& isa, const int8_t* input, size_t rows, size_t channels,
           const PreluParameters& parameters, int8_t* output, const Parallel& parallel) {
  constexpr int64_t kMinValuesOfTask = 1 << 15;
  if (rows == 0 || channels == 0) return;
  // Whatever a caller gives, the result is an int8.
  const auto to_int8 = [](int32_t x) {
    return x < INT8_MIN ? INT8_MIN : x > INT8_MAX ? INT8_MAX : x;
  };
  PreluParameters bounded = parameters;
  bounded.low = to_int8(parameters.low);
  bounded.high = to_int8(parameters.high);
  const auto min_rows = static_cast<int64_t>(kMinValuesOfTask / channels + 1);
  ForRanges(parallel, static_cast<int64_t>(rows), min_rows, [&](int64_t begin, int64_t end) {
    isa.prelu(input + begin * channels, end - begin, channels, bounded, output + begin * channels);
  });
}

}  // namespace tfq
