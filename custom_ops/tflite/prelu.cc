// TfqPrelu (x, knee, above_multiplier, above_bias, below_multiplier, below_bias) -> y
#include "kernels/prelu.h"

#include "tflite/operator.h"
#include "tflite/options.h"

namespace tfq {
namespace {

enum Input { kX, kKnee, kAboveMultiplier, kAboveBias, kBelowMultiplier, kBelowBias, kNumInputs };

struct PreluState {
  PreluParameters parameters;

  size_t rows, channels;
};

bool ReadPreluOptions(const void* bytes, size_t size, void* state, Reason* reason) {
  PreluParameters* parameters = &static_cast<PreluState*>(state)->parameters;
  const Option options[] = {
      {"low", &parameters->low, INT8_MIN, INT8_MAX},
      {"high", &parameters->high, INT8_MIN, INT8_MAX},
  };
  return ReadOptions(bytes, size, options, reason);
}

bool ReadParameters(const Node& node, int64_t channels, PreluParameters* parameters) {
  parameters->knee = node.ConstantVector<int32_t>(kKnee, "the knee", channels);
  if (parameters->knee == nullptr) return false;
  const struct {
    int position;
    const char* name;
    const float** values;
  } slopes[] = {
      {kAboveMultiplier, "the multiplier above", &parameters->above_multiplier},
      {kAboveBias, "the bias above", &parameters->above_bias},
      {kBelowMultiplier, "the multiplier below", &parameters->below_multiplier},
      {kBelowBias, "the bias below", &parameters->below_bias},
  };
  for (const auto& each : slopes) {
    *each.values = node.ConstantVector<float>(each.position, each.name, channels);
    if (*each.values == nullptr) return false;
  }
  return true;
}

bool PreparePrelu(Node* node, void* state) {
  PreluState* prelu = static_cast<PreluState*>(state);
  TensorView x, output;
  if (!node->CheckCounts(kNumInputs, kNumInputs) || !node->ViewInput(kX, "the input", &x) ||
      !node->ViewOutput(&output)) {
    return false;
  }
  if (x.rank < 1) return node->reason()->Set("the input must have rank 1 or more");
  if (x.type != kTfLiteInt8 || output.type != kTfLiteInt8) {
    return node->reason()->Set("input and output must be int8, not %s and %s", TypeName(x.type),
                               TypeName(output.type));
  }
  if (prelu->parameters.low > prelu->parameters.high) {
    return node->reason()->Set("option `low`, %d, is above `high`, %d", prelu->parameters.low,
                               prelu->parameters.high);
  }
  if (!ReadParameters(*node, x.Last(), &prelu->parameters)) return false;
  prelu->rows = static_cast<size_t>(x.Rows());
  prelu->channels = static_cast<size_t>(x.Last());
  return node->ResizeOutput(x);
}

bool InvokePrelu(const Node& node, void* state) {
  const PreluState& prelu = *static_cast<const PreluState*>(state);
  const size_t bytes = prelu.rows * prelu.channels;
  if (bytes == 0) return true;
  const int8_t* x = node.InputData<int8_t>(kX, "the input", bytes);
  int8_t* output = node.OutputData<int8_t>(bytes);
  if (x == nullptr || output == nullptr) return false;
  Prelu(node.isa(), x, prelu.rows, prelu.channels, prelu.parameters, output, node.parallel());
  return true;
}

}  // namespace

const Operator kPreluOperator = {
    "TfqPrelu",       sizeof(PreluState), /*needs_scratch=*/false,
    ReadPreluOptions, PreparePrelu,       InvokePrelu,
    nullptr,
};

}  // namespace tfq
