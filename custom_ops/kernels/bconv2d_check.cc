// What can be computed, and the sizes of outputs. Callers pass options from files that nobody
// checked, so no step here may overflow.
#include "kernels/bconv2d.h"
#include "kernels/bgemm.h"
#include "kernels/bitpack.h"
#include "kernels/sizes.h"

namespace tfq {

namespace {

// Words of repacked weights, whole panels counted. It also bounds the values of a window, k, so
// that int32 accumulators hold k * (2^planes - 1), and three times as much (bconv2d_prepare.cc,
// SetLimits).
constexpr size_t kMaxWeightWords = size_t{1} << 28;
constexpr size_t kMaxWindowValues = kMaxWeightWords / kMaxPanelChannels * kWordBits;
static_assert(kMaxWindowValues * ((1 << kMaxPlanes) - 1) < size_t{1} << 30);
static_assert(kMaxWindowValues * 3 < size_t{1} << 30);

const char* OutputLength(int64_t input, int32_t kernel, int32_t stride, int32_t dilation,
                         bool is_same, int32_t* output) {
  const int64_t extent = (int64_t{kernel} - 1) * dilation + 1;
  if (input < 1) return "the input must have a height and width of at least 1";
  if (input > INT32_MAX) return "the input's height and width must be below 2^31";
  if (!is_same && extent > input) return "the input is smaller than the window, and not padded";
  const int64_t positions = is_same ? input : input - extent + 1;
  *output = static_cast<int32_t>(CeilDivide<int64_t>(positions, stride));
  return nullptr;
}

}  // namespace

const char* CheckBconv2d(const Bconv2dOptions& o) {
  if (o.channels_in < 1 || o.channels_out < 1) return "channels must be at least 1";
  if (o.kernel_height < 1 || o.kernel_width < 1) return "kernel sizes must be at least 1";
  if (o.stride_height < 1 || o.stride_width < 1) return "strides must be at least 1";
  if (o.dilation_height < 1 || o.dilation_width < 1) return "dilations must be at least 1";
  if (o.groups < 1) return "groups must be at least 1";
  if (o.channels_in % o.groups != 0 || o.channels_out % o.groups != 0) {
    return "groups must divide the channels";
  }
  if (o.padding != Padding::kValid && o.padding != Padding::kSameOne &&
      o.padding != Padding::kSameZero) {
    return "padding must be 0 (VALID), 1 (SAME_ONE) or 2 (SAME_ZERO)";
  }
  if (o.planes < 1 || o.planes > kMaxPlanes) return "planes must be 1 to 4";
  if (!o.has_codes && o.planes != 1) return "values +1 and -1 have one plane";

  if ((int64_t{o.kernel_height} - 1) * o.dilation_height >= INT32_MAX ||
      (int64_t{o.kernel_width} - 1) * o.dilation_width >= INT32_MAX) {
    return "the dilated window must be smaller than 2^31";
  }
  const int32_t inputs_of_group = o.channels_in / o.groups;
  const size_t taps = MultiplySizes(o.kernel_height, o.kernel_width);
  const size_t panels = CeilDivide(o.channels_out / o.groups, kMaxPanelChannels);
  size_t words = MultiplySizes(taps, WordsFor(inputs_of_group));
  words = MultiplySizes(words, MultiplySizes(panels * kMaxPanelChannels, o.groups));
  if (words > kMaxWeightWords) return "the filter is too large";
  return nullptr;
}

const char* Bconv2dOutputSize(const Bconv2dOptions& o, int64_t height, int64_t width,
                              int32_t* output_height, int32_t* output_width) {
  const bool is_same = o.padding != Padding::kValid;
  const char* reason = OutputLength(height, o.kernel_height, o.stride_height, o.dilation_height,
                                    is_same, output_height);
  if (reason != nullptr) return reason;
  return OutputLength(width, o.kernel_width, o.stride_width, o.dilation_width, is_same,
                      output_width);
}

size_t Bconv2dFilterBytes(const Bconv2dOptions& o) {
  const size_t k = static_cast<size_t>(o.kernel_height) * o.kernel_width *
                   static_cast<size_t>(o.channels_in / o.groups);
  return MultiplySizes(o.is_ternary ? 2 : 1,
                       MultiplySizes(o.channels_out, CeilDivide<size_t>(k, 8)));
}

}  // namespace tfq
