// The kernels that an op runs on, chosen when it is constructed.
#ifndef TFQ_TF_REQUIRE_ISA_H_
#define TFQ_TF_REQUIRE_ISA_H_

#include "kernels/isa.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace tfq {

// Null, with the op's status set, if TFQ_FORCE_KERNEL asks for what cannot be had.
inline const Isa* RequireIsa(tensorflow::OpKernelConstruction* context) {
  const Isa* isa = SelectIsaFromEnvironment();
  if (isa == nullptr) {
    context->CtxFailure(absl::InvalidArgumentError(
        "The environment variable TFQ_FORCE_KERNEL must name kernels that this processor can run "
        "(portable always works)."));
  }
  return isa;
}

}  // namespace tfq

#endif  // TFQ_TF_REQUIRE_ISA_H_
