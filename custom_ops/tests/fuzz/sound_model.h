// Sound models of every operator, with sizes and variants that a fuzzer chooses.
#ifndef TFQ_TESTS_FUZZ_SOUND_MODEL_H_
#define TFQ_TESTS_FUZZ_SOUND_MODEL_H_

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <vector>

#include "tests/delegate_model.h"

namespace tfq {

inline ProductShape ChooseProduct(FuzzedDataProvider* fuzz) {
  auto choose = [&](int lowest, int highest) {
    return fuzz->ConsumeIntegralInRange<int>(lowest, highest);
  };
  ProductShape s;
  s.batch = choose(1, 2);
  s.height = choose(1, 12);
  s.width = choose(1, 12);
  s.groups = choose(0, 3) == 0 ? choose(2, 4) : 1;
  s.channels_in = s.groups * choose(1, 80);
  s.channels_out = s.groups * choose(1, 70);
  s.kernel_height = choose(1, 4);
  s.kernel_width = choose(1, 4);
  s.stride = choose(1, 3);
  s.dilation = choose(1, 3);
  s.padding = choose(0, 2);
  s.has_codes = fuzz->ConsumeBool();
  s.planes = s.has_codes ? choose(1, 4) : 1;
  s.is_ternary = fuzz->ConsumeBool();
  s.has_integer_bias = fuzz->ConsumeBool();
  s.has_limits = fuzz->ConsumeBool();
  s.has_sum_multiplier = fuzz->ConsumeBool();
  s.output_type = fuzz->PickValueInArray({kTfLiteFloat32, kTfLiteInt8, kTfLiteInt32});
  if (s.padding == 0) {
    s.height = std::max(s.height, (s.kernel_height - 1) * s.dilation + 1);
    s.width = std::max(s.width, (s.kernel_width - 1) * s.dilation + 1);
  }
  return s;
}

inline OperatorModel ChooseSoundModel(FuzzedDataProvider* fuzz) {
  auto choose = [&](int lowest, int highest) {
    return fuzz->ConsumeIntegralInRange<int>(lowest, highest);
  };
  const unsigned seed = fuzz->ConsumeIntegral<uint8_t>();
  const std::vector<int> shape = {choose(0, 2), choose(1, 9), choose(1, 9), choose(1, 80)};
  switch (choose(0, 5)) {
    case 0:
      return BdenseModel(ChooseProduct(fuzz), seed);
    case 1:
      return BitpackModel(fuzz->ConsumeBool() ? kTfLiteInt8 : kTfLiteFloat32, shape, 1,
                          fuzz->ConsumeBool(), seed);
    case 2:
      return BitpackModel(kTfLiteInt8, shape, choose(2, 4), false, seed);
    case 3: {
      const int kernel = choose(1, std::min(shape[1], shape[2]));
      return BmaxpoolModel(shape, kernel, choose(1, 3), choose(0, 1));
    }
    case 4:
      return PreluModel(shape, seed);
    default:
      return Bconv2dModel(ChooseProduct(fuzz), seed);
  }
}

// How many channels the words of the first input hold, so that the bits behind them stay clear.
inline int ChannelsOfWords(const OperatorModel& model) {
  const auto channels = model.options.find("channels_in");
  return channels == model.options.end() ? kWordBits : static_cast<int>(channels->second);
}

}  // namespace tfq

#endif  // TFQ_TESTS_FUZZ_SOUND_MODEL_H_
