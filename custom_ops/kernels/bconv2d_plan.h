// What Bconv2dPrepare makes and Bconv2dRun reads.
#ifndef TFQ_KERNELS_BCONV2D_PLAN_H_
#define TFQ_KERNELS_BCONV2D_PLAN_H_

#include <stddef.h>
#include <stdint.h>

#include "kernels/bconv2d.h"
#include "kernels/bitpack.h"
#include "kernels/isa_table.h"
#include "kernels/sizes.h"

namespace tfq {

// Output channels are cut into panels of Isa::panel_channels, every group for itself; the last
// panel of a group may be partly empty. Arrays by channel are in the order of the panels, "slots":
// slot = (group * panels_of_group + panel) * panel_channels + channel.
struct Bconv2dPlan {
  Bconv2dOptions options;
  const Isa* isa;
  OutputType type;
  int shift;  // bgemm.h

  int32_t inputs_of_group, outputs_of_group;
  int32_t words_of_group;   // of a pixel and plane: ceil(inputs_of_group / 32)
  int32_t num_words;        // of a window and plane
  int32_t panels_of_group;  // ceil(outputs_of_group / panel_channels)
  size_t panel_bytes;
  size_t slots;

  uint8_t* panels;  // groups x panels_of_group x panel_bytes
  int32_t* bases;   // slots; packed: limits
  float *multiplier, *bias, *lower, *upper, *sum_multiplier;  // slots; the last three may be null
  uint32_t* flips;                                            // packed: slots / 32
  int32_t zero_point;
  float low, high;  // without the zero point

  // With values padded by 0, else null: the sum of the weights above and to the left of a tap,
  // (kernel_height + 1) x (kernel_width + 1) x slots. `bases` then lack the weights inside the
  // image; packed: and are not halved.
  int32_t* tap_sums;

  int32_t levels() const { return (1 << options.planes) - 1; }
  // The groups' words are not at word boundaries of the input: it is copied to where they are.
  bool has_split_words() const { return options.groups > 1 && inputs_of_group % kWordBits != 0; }
  // The same of packed output.
  bool has_joined_output() const {
    return type == OutputType::kPacked && options.groups > 1 && outputs_of_group % kWordBits != 0;
  }
  bool has_zero_padding() const {
    return options.padding == Padding::kSameZero && !options.has_codes;
  }
};

// How an input of a given size is read.
struct Bconv2dGeometry {
  int32_t output_height, output_width;
  int32_t pad_top, pad_left;
  int32_t image_height, image_width;  // with the padding; the input's where it needs none
  int32_t image_words;                // of a pixel: planes x groups x words_of_group
  bool is_copied;                     // the image is a copy of the input, with padding
  // Values padded by 0: in how many ways windows meet the edges, up and down, and sideways.
  int32_t row_classes, column_classes;
};

// False if the input is too large to be computed.
bool GetGeometry(const Bconv2dPlan& plan, int32_t batch, int32_t height, int32_t width,
                 Bconv2dGeometry* geometry);

// The taps [first, last) of a window that begins at `start`, perhaps before 0, and are in
// [0, size).
struct TapRange {
  int32_t first, last;
  bool operator==(const TapRange& other) const {
    return first == other.first && last == other.last;
  }
};

inline TapRange TapsInside(int64_t start, int32_t taps, int32_t dilation, int64_t size) {
  int64_t first = start >= 0 ? 0 : CeilDivide<int64_t>(-start, dilation);
  int64_t last = size <= start ? 0 : CeilDivide<int64_t>(size - start, dilation);
  first = first < taps ? first : taps;
  last = last < taps ? last : taps;
  return {static_cast<int32_t>(first), static_cast<int32_t>(last > first ? last : first)};
}

}  // namespace tfq

#endif  // TFQ_KERNELS_BCONV2D_PLAN_H_
