// Convolution of bit planes with binary or ternary weights (formulas in ../README.md).
//
//   Bconv2dOptions options = ...;
//   if (const char* reason = CheckBconv2d(options)) ...
//   void* memory = aligned_alloc(kAlignment, Bconv2dPlanBytes(options, isa));
//   Bconv2dPlan* plan = Bconv2dPrepare(options, filter, transform, isa, memory);
//
// and for each input size, then for each input (nothing is allocated)
//
//   Bconv2dOutputSize(options, h, w, &out_h, &out_w);
//   void* scratch = aligned_alloc(kAlignment, Bconv2dScratchBytes(*plan, n, h, w, threads));
//   Bconv2dRun(*plan, words, n, h, w, output, scratch, parallel);
#ifndef TFQ_KERNELS_BCONV2D_H_
#define TFQ_KERNELS_BCONV2D_H_

#include <stddef.h>
#include <stdint.h>

#include "kernels/isa.h"
#include "kernels/output_transform.h"
#include "kernels/parallel.h"

namespace tfq {

constexpr size_t kAlignment = 64;

enum class Padding { kValid = 0, kSameOne = 1, kSameZero = 2 };

struct Bconv2dOptions {
  int32_t channels_in, channels_out;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t dilation_height, dilation_width;
  int32_t groups;
  Padding padding;
  int32_t planes;   // 1 to kMaxPlanes
  bool has_codes;   // inputs are codes 0 .. 2^planes - 1, not +1 and -1
  bool is_ternary;  // the filter has a mask
};

// Returns why the options cannot be computed, null if they can. Everything below expects that.
const char* CheckBconv2d(const Bconv2dOptions& options);

// Returns why there is no output for an input of this size (too small, too large), null if there
// is.
const char* Bconv2dOutputSize(const Bconv2dOptions& options, int64_t height, int64_t width,
                              int32_t* output_height, int32_t* output_width);

size_t Bconv2dFilterBytes(const Bconv2dOptions& options);  // signs, and mask if ternary

struct Bconv2dPlan;  // repacked weights and transform, in the caller's memory

size_t Bconv2dPlanBytes(const Bconv2dOptions& options, const Isa& isa);

// Copies all it needs from `filter` and `transform`. `memory` is aligned to kAlignment.
Bconv2dPlan* Bconv2dPrepare(const Bconv2dOptions& options, const uint8_t* filter,
                            const OutputTransform& transform, const Isa& isa, void* memory);

// Returns SIZE_MAX if the input is too large to be computed.
size_t Bconv2dScratchBytes(const Bconv2dPlan& plan, int32_t batch, int32_t height, int32_t width,
                           int num_threads);

// `output`: float, int8_t or uint32_t by the transform's type, NHWC. `scratch` is aligned.
void Bconv2dRun(const Bconv2dPlan& plan, const uint32_t* words, int32_t batch, int32_t height,
                int32_t width, void* output, void* scratch, const Parallel& parallel);

}  // namespace tfq

#endif  // TFQ_KERNELS_BCONV2D_H_
