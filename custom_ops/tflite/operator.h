// A custom operator: one file and one row in `operators.cc` each. What they compute stands in
// ../README.md.
#ifndef TFQ_TFLITE_OPERATOR_H_
#define TFQ_TFLITE_OPERATOR_H_

#include <stddef.h>

#include "tflite/node.h"
#include "tflite/reason.h"

namespace tfq {

// `state` is `state_size` bytes that were zero when the node was made. What returns false has set
// the reason.
struct Operator {
  const char* name;
  size_t state_size;
  bool needs_scratch;
  bool (*read_options)(const void* bytes, size_t size, void* state, Reason* reason);
  // Checks tensors and options against each other, resizes the output. Called for every new input
  // shape.
  bool (*prepare)(Node* node, void* state);
  bool (*invoke)(const Node& node, void* state);
  void (*release)(void* state);  // null if there is nothing to release
};

extern const Operator kBconv2dOperator;
extern const Operator kBdenseOperator;
extern const Operator kBitpackOperator;
extern const Operator kBmaxpoolOperator;
extern const Operator kPreluOperator;

const Operator* FindOperator(const char* name);  // null if there is none

}  // namespace tfq

#endif  // TFQ_TFLITE_OPERATOR_H_
