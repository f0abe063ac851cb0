// The delegate, and the kernels that it puts in the place of the model's custom operators.
#ifndef TFQ_TFLITE_DELEGATE_KERNEL_H_
#define TFQ_TFLITE_DELEGATE_KERNEL_H_

#include "kernels/isa.h"
#include "tflite/operator.h"
#include "tflite/tflite_abi.h"
#include "tflite/thread_pool.h"

namespace tfq {

struct Delegate {
  TfLiteDelegate base;  // `data_` points to this delegate
  const Isa* isa;
  int num_threads;  // 0: as many as the interpreter recommends
  ThreadPool* pool;
};

// The kernel of one node of this operator.
TfLiteRegistration KernelOf(const Operator& op);

}  // namespace tfq

#endif  // TFQ_TFLITE_DELEGATE_KERNEL_H_
