// A dense layer over bits is a 1x1 convolution over an image of one row.
#ifndef TFQ_KERNELS_BDENSE_H_
#define TFQ_KERNELS_BDENSE_H_

#include "kernels/bconv2d.h"

namespace tfq {

// Run it with batch 1, height 1 and width = number of rows.
inline Bconv2dOptions BdenseOptions(int32_t channels_in, int32_t units, int32_t planes,
                                    bool has_codes, bool is_ternary) {
  return {channels_in, units, 1, 1, 1, 1, 1, 1, 1, Padding::kValid, planes, has_codes, is_ternary};
}

}  // namespace tfq

#endif  // TFQ_KERNELS_BDENSE_H_
