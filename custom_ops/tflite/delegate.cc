#include <stdlib.h>
#include <string.h>

#include "tflite/delegate_kernel.h"
#include "tflite/tfq_delegate.h"

namespace tfq {
namespace {

// A decimal number of 1 to ThreadPool::kMaxThreads, 0 if `text` is none.
int ParseThreads(const char* text) {
  int value = 0;
  for (; *text != '\0' && value <= ThreadPool::kMaxThreads; ++text) {
    if (*text < '0' || *text > '9') return 0;
    value = 10 * value + (*text - '0');
  }
  return value <= ThreadPool::kMaxThreads ? value : 0;
}

bool RefuseKernel(const char* source, const char* name, Reason* reason) {
  char known[64] = "";
  for (int i = 0; const Isa* isa = IsaAt(i); ++i) {
    const size_t end = strlen(known);
    if (IsaIsSupported(*isa)) {
      snprintf(known + end, sizeof(known) - end, "%s%s", end == 0 ? "" : ", ", IsaName(*isa));
    }
  }
  return reason->Set("%s must be one of %s, which this processor runs, not '%s'", source, known,
                     name);
}

bool ParseOptions(const char* const* keys, const char* const* values, size_t count,
                  Delegate* delegate, Reason* reason) {
  const char* kernel = nullptr;
  for (size_t i = 0; i < count; ++i) {
    const char* key = keys[i] == nullptr ? "" : keys[i];
    const char* value = values[i] == nullptr ? "" : values[i];
    if (strcmp(key, "threads") == 0) {
      delegate->num_threads = ParseThreads(value);
      if (delegate->num_threads == 0) {
        return reason->Set("option `threads` must be a number of 1 to %d, not '%s'",
                           ThreadPool::kMaxThreads, value);
      }
    } else if (strcmp(key, "kernel") == 0) {
      kernel = value;
    } else {
      return reason->Set("option '%s' is not known; there are `threads` and `kernel`", key);
    }
  }
  if (kernel != nullptr) {
    delegate->isa = *kernel == '\0' ? nullptr : SelectIsa(kernel);
    return delegate->isa != nullptr || RefuseKernel("option `kernel`", kernel, reason);
  }
  delegate->isa = SelectIsaFromEnvironment();
  if (delegate->isa != nullptr) return true;
  const char* forced = getenv("TFQ_FORCE_KERNEL");
  return RefuseKernel("TFQ_FORCE_KERNEL", forced == nullptr ? "" : forced, reason);
}

const Operator* OperatorOf(TfLiteContext* context, int node_index) {
  TfLiteNode* node;
  TfLiteRegistration* registration;
  if (context->GetNodeAndRegistration(context, node_index, &node, &registration) != kTfLiteOk ||
      registration->builtin_code != kTfLiteBuiltinCustom || registration->custom_name == nullptr) {
    return nullptr;
  }
  return FindOperator(registration->custom_name);
}

// Claims every node by itself: what lies between two of them stays the runtime's, planned in its
// arena and open to be read. (One call for many nodes would merge neighbours.)
TfLiteStatus PrepareDelegate(TfLiteContext* context, TfLiteDelegate* delegate) {
  TfLiteIntArray* plan;
  if (context->GetExecutionPlan(context, &plan) != kTfLiteOk) return kTfLiteError;
  // The runtime's array changes with every claim.
  const int count = plan->size;
  int* nodes = static_cast<int*>(malloc(sizeof(int) * (count + 1)));
  auto* claim = static_cast<TfLiteIntArray*>(malloc(sizeof(TfLiteIntArray) + sizeof(int)));
  TfLiteStatus status = kTfLiteOk;
  if (nodes == nullptr || claim == nullptr) {
    context->ReportError(context, "tfq: there is no memory for the execution plan");
    status = kTfLiteError;
  } else {
    memcpy(nodes, plan->data, sizeof(int) * count);
    claim->size = 1;
  }
  for (int i = 0; i < count && status == kTfLiteOk; ++i) {
    const Operator* op = OperatorOf(context, nodes[i]);
    if (op == nullptr) continue;
    claim->data[0] = nodes[i];
    status =
        context->ReplaceNodeSubsetsWithDelegateKernels(context, KernelOf(*op), claim, delegate);
  }
  free(claim);
  free(nodes);
  return status;
}

void Destroy(Delegate* delegate) {
  ThreadPool::Destroy(delegate->pool);
  free(delegate);
}

}  // namespace
}  // namespace tfq

extern "C" TfLiteDelegate* tflite_plugin_create_delegate(const char* const* keys,
                                                         const char* const* values, size_t count,
                                                         void (*report_error)(const char*)) {
  auto* delegate = static_cast<tfq::Delegate*>(calloc(1, sizeof(tfq::Delegate)));
  tfq::Reason reason;
  bool is_made = delegate != nullptr || reason.Set("there is no memory");
  is_made = is_made && tfq::ParseOptions(keys, values, count, delegate, &reason);
  if (is_made) {
    delegate->pool = tfq::ThreadPool::Create();
    is_made = delegate->pool != nullptr || reason.Set("there is no memory");
  }
  if (!is_made) {
    if (report_error != nullptr) report_error(reason.text);
    free(delegate);
    return nullptr;
  }
  delegate->base.data_ = delegate;
  delegate->base.Prepare = tfq::PrepareDelegate;
  delegate->base.flags = tfq::kTfLiteDelegateFlagsAllowDynamicTensors;
  return reinterpret_cast<TfLiteDelegate*>(&delegate->base);
}

extern "C" void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate) {
  if (delegate == nullptr) return;
  const auto* base = reinterpret_cast<tfq::TfLiteDelegate*>(delegate);
  tfq::Destroy(static_cast<tfq::Delegate*>(base->data_));
}
