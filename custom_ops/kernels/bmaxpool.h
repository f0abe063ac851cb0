// Max pooling of packed values: the AND of their words, since a set bit is -1.
#ifndef TFQ_KERNELS_BMAXPOOL_H_
#define TFQ_KERNELS_BMAXPOOL_H_

#include <stddef.h>
#include <stdint.h>

#include "kernels/isa.h"
#include "kernels/parallel.h"

namespace tfq {

struct BmaxpoolOptions {
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  bool is_same;  // SAME padding, which never wins; else VALID
};

const char* CheckBmaxpool(const BmaxpoolOptions& options);

const char* BmaxpoolOutputSize(const BmaxpoolOptions& options, int64_t height, int64_t width,
                               int32_t* output_height, int32_t* output_width);

void BmaxpoolRun(const Isa& isa, const BmaxpoolOptions& options, const uint32_t* input,
                 int32_t batch, int32_t height, int32_t width, int32_t words, uint32_t* output,
                 const Parallel& parallel);

}  // namespace tfq

#endif  // TFQ_KERNELS_BMAXPOOL_H_
