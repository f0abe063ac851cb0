// TfqBmaxpool (words) -> words
#include "kernels/bmaxpool.h"

#include "tflite/operator.h"
#include "tflite/options.h"

namespace tfq {
namespace {

struct BmaxpoolState {
  BmaxpoolOptions options;

  int32_t batch, height, width, words;
  size_t input_bytes, output_bytes;
};

bool ReadBmaxpoolOptions(const void* bytes, size_t size, void* state, Reason* reason) {
  BmaxpoolOptions* pool = &static_cast<BmaxpoolState*>(state)->options;
  int32_t padding;
  const Option options[] = {
      {"kernel_height", &pool->kernel_height, 1, kMaxSize},
      {"kernel_width", &pool->kernel_width, 1, kMaxSize},
      {"stride_height", &pool->stride_height, 1, kMaxSize},
      {"stride_width", &pool->stride_width, 1, kMaxSize},
      {"padding", &padding, 0, 1},
  };
  if (!ReadOptions(bytes, size, options, reason)) return false;
  pool->is_same = padding == 1;
  return true;
}

bool PrepareBmaxpool(Node* node, void* state) {
  BmaxpoolState* pool = static_cast<BmaxpoolState*>(state);
  TensorView input, output;
  if (!node->CheckCounts(1, 1) || !node->ViewInput(0, "the input", &input) ||
      !node->ViewOutput(&output)) {
    return false;
  }
  if (input.rank != 4) return node->reason()->Set("the input must have rank 4, not %d", input.rank);
  if (input.type != kTfLiteInt32 || output.type != kTfLiteInt32) {
    return node->reason()->Set("input and output must be int32 words, not %s and %s",
                               TypeName(input.type), TypeName(output.type));
  }
  pool->batch = input.sizes[0];
  pool->height = input.sizes[1];
  pool->width = input.sizes[2];
  pool->words = input.sizes[3];
  const char* problem = CheckBmaxpool(pool->options);
  output = input;
  if (problem == nullptr) {
    problem = BmaxpoolOutputSize(pool->options, pool->height, pool->width, &output.sizes[1],
                                 &output.sizes[2]);
  }
  if (problem != nullptr) return node->reason()->Set("%s", problem);
  pool->input_bytes = input.Bytes();
  pool->output_bytes = output.Bytes();
  return node->ResizeOutput(output);
}

bool InvokeBmaxpool(const Node& node, void* state) {
  const BmaxpoolState& pool = *static_cast<const BmaxpoolState*>(state);
  if (pool.output_bytes == 0) return true;
  const uint32_t* input = node.InputData<uint32_t>(0, "the input", pool.input_bytes);
  uint32_t* output = node.OutputData<uint32_t>(pool.output_bytes);
  if (input == nullptr || output == nullptr) return false;
  BmaxpoolRun(node.isa(), pool.options, input, pool.batch, pool.height, pool.width, pool.words,
              output, node.parallel());
  return true;
}

}  // namespace

const Operator kBmaxpoolOperator = {
    "TfqBmaxpool",           sizeof(BmaxpoolState),
    /*needs_scratch=*/false, ReadBmaxpoolOptions,   PrepareBmaxpool, InvokeBmaxpool, nullptr,
};

}  // namespace tfq
