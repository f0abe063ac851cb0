#include <string.h>

#include "tflite/operator.h"

namespace tfq {
namespace {

const Operator* const kOperators[] = {
    &kBconv2dOperator, &kBdenseOperator, &kBitpackOperator, &kBmaxpoolOperator, &kPreluOperator,
};

}  // namespace

const Operator* FindOperator(const char* name) {
  for (const Operator* each : kOperators) {
    if (strcmp(each->name, name) == 0) return each;
  }
  return nullptr;
}

}  // namespace tfq
