// TfqBitpack (x, thresholds?) -> words
#include "kernels/bitpack.h"

#include "tflite/operator.h"
#include "tflite/options.h"

namespace tfq {
namespace {

struct BitpackState {
  int32_t planes, lowest;

  TfLiteType type;
  size_t rows, channels;
  const void* thresholds;  // null for more than one plane
  bool per_channel;
  size_t input_bytes, output_bytes;
};

bool ReadBitpackOptions(const void* bytes, size_t size, void* state, Reason* reason) {
  BitpackState* bitpack = static_cast<BitpackState*>(state);
  const Option options[] = {
      {"planes", &bitpack->planes, 1, kMaxPlanes},
      {"lowest", &bitpack->lowest, INT8_MIN, INT8_MAX},
  };
  return ReadOptions(bytes, size, options, reason);
}

// One, or one a channel; of rank 0 or 1.
bool ReadThresholds(const Node& node, BitpackState* bitpack) {
  TensorView view;
  if (!node.ViewInput(1, "the threshold", &view)) return false;
  bitpack->per_channel = view.rank != 0 && view.Elements() != 1;
  const int64_t size = bitpack->per_channel ? static_cast<int64_t>(bitpack->channels) : 1;
  const int rank = view.rank == 0 ? 0 : 1;
  bitpack->thresholds =
      bitpack->type == kTfLiteFloat32
          ? static_cast<const void*>(node.Constant<float>(1, "the threshold", &size, rank))
          : node.Constant<int32_t>(1, "the threshold", &size, rank);
  return bitpack->thresholds != nullptr;
}

bool PrepareBitpack(Node* node, void* state) {
  BitpackState* bitpack = static_cast<BitpackState*>(state);
  TensorView x, output;
  if (!node->CheckCounts(1, 2) || !node->ViewInput(0, "the input", &x) ||
      !node->ViewOutput(&output)) {
    return false;
  }
  if (x.rank < 1 || x.Last() < 1 || x.Last() > kMaxChannels) {
    return node->reason()->Set("the input must have 1 to %d channels", kMaxChannels);
  }
  bitpack->type = x.type;
  bitpack->rows = static_cast<size_t>(x.Rows());
  bitpack->channels = static_cast<size_t>(x.Last());
  if (x.type != kTfLiteInt8 && (x.type != kTfLiteFloat32 || bitpack->planes > 1)) {
    return node->reason()->Set("the input must be %s, not %s",
                               bitpack->planes > 1 ? "int8" : "float32 or int8", TypeName(x.type));
  }
  if (output.type != kTfLiteInt32) {
    return node->reason()->Set("the output must be int32 words, not %s", TypeName(output.type));
  }
  bitpack->thresholds = nullptr;
  if (bitpack->planes == 1) {
    if (!ReadThresholds(*node, bitpack)) return false;
  } else if (node->HasInput(1)) {
    return node->reason()->Set("%d planes take no threshold", bitpack->planes);
  }
  bitpack->input_bytes = x.Bytes();
  x.type = kTfLiteInt32;
  x.sizes[x.rank - 1] = bitpack->planes * static_cast<int32_t>(WordsFor(bitpack->channels));
  bitpack->output_bytes = x.Bytes();
  return node->ResizeOutput(x);
}

bool InvokeBitpack(const Node& node, void* state) {
  const BitpackState& bitpack = *static_cast<const BitpackState*>(state);
  if (bitpack.rows == 0) return true;
  uint32_t* words = node.OutputData<uint32_t>(bitpack.output_bytes);
  if (words == nullptr) return false;
  if (bitpack.type == kTfLiteFloat32) {
    const float* x = node.InputData<float>(0, "the input", bitpack.input_bytes);
    if (x == nullptr) return false;
    BitpackFloat(node.isa(), x, bitpack.rows, bitpack.channels,
                 static_cast<const float*>(bitpack.thresholds), bitpack.per_channel, words,
                 node.parallel());
    return true;
  }
  const int8_t* x = node.InputData<int8_t>(0, "the input", bitpack.input_bytes);
  if (x == nullptr) return false;
  if (bitpack.planes == 1) {
    BitpackInt8(node.isa(), x, bitpack.rows, bitpack.channels,
                static_cast<const int32_t*>(bitpack.thresholds), bitpack.per_channel, words,
                node.parallel());
  } else {
    BitpackPlanes(node.isa(), x, bitpack.rows, bitpack.channels, bitpack.planes, bitpack.lowest,
                  words, node.parallel());
  }
  return true;
}

}  // namespace

const Operator kBitpackOperator = {
    "TfqBitpack",
    sizeof(BitpackState),
    /*needs_scratch=*/false,
    ReadBitpackOptions,
    PrepareBitpack,
    InvokeBitpack,
    nullptr,
};

}  // namespace tfq
