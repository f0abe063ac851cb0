// A parametric ReLU by channel from int8 to int8 (formula in ../README.md, TfqPrelu).
#ifndef TFQ_KERNELS_PRELU_H_
#define TFQ_KERNELS_PRELU_H_

#include <stddef.h>
#include <stdint.h>

#include "kernels/isa.h"
#include "kernels/parallel.h"

namespace tfq {

// Pointers are to one value a channel.
struct PreluParameters {
  const int32_t* knee;
  const float* above_multiplier;
  const float* above_bias;
  const float* below_multiplier;
  const float* below_bias;
  int32_t low, high;
};

void Prelu(const Isa& isa, const int8_t* input,  // rows x channels
           size_t rows, size_t channels, const PreluParameters& parameters, int8_t* output,
           const Parallel& parallel);

}  // namespace tfq

#endif  // TFQ_KERNELS_PRELU_H_
