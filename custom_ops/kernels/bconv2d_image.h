// What a convolution reads: the input with its padding, and sums of it.
#ifndef TFQ_KERNELS_BCONV2D_IMAGE_H_
#define TFQ_KERNELS_BCONV2D_IMAGE_H_

#include "kernels/bconv2d_plan.h"
#include "kernels/parallel.h"

namespace tfq {

// Copies the input into an image with the padding around it and the words of every group apart:
// batch x image_height x image_width x planes x groups x words_of_group.
void CopyImage(const Bconv2dPlan& plan, const Bconv2dGeometry& geometry, const uint32_t* input,
               int32_t batch, int32_t height, int32_t width, uint32_t* image,
               const Parallel& parallel);

// Sums the values of every window, by group.
void SumWindows(const Bconv2dPlan& plan, const Bconv2dGeometry& geometry, const uint32_t* image,
                int32_t batch, int32_t height, int32_t width,
                int32_t* pixel_pops,   // scratch: batch x image_height x image_width x groups
                int32_t* window_sums,  // batch x output_height x output_width x groups
                const Parallel& parallel);

}  // namespace tfq

#endif  // TFQ_KERNELS_BCONV2D_IMAGE_H_
