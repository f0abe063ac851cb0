#include "tflite/delegate_kernel.h"

#include <stdlib.h>
#include <string.h>

namespace tfq {
namespace {

// A node that was claimed, from `init` to `free`. The operator's state lies behind it.
struct alignas(16) ClaimedNode {
  const Operator* op;
  Delegate* delegate;
  TfLiteIntArray* inputs;  // of the node as the file has it, absent ones included
  TfLiteIntArray* outputs;
  int scratch;  // index of the tensor, -1 before it is added
  bool is_sound;
  ThreadPool::Share threads;
  Reason reason;

  void* State() { return this + 1; }
};

TfLiteIntArray* Copy(const TfLiteIntArray* array) {
  if (array == nullptr || array->size < 0) return nullptr;
  const size_t bytes = sizeof(TfLiteIntArray) + sizeof(int) * array->size;
  auto* copy = static_cast<TfLiteIntArray*>(malloc(bytes));
  if (copy != nullptr) memcpy(copy, array, bytes);
  return copy;
}

Node NodeOf(TfLiteContext* context, ClaimedNode* claimed, const Parallel& parallel) {
  return Node(context, claimed->inputs, claimed->outputs, claimed->scratch, *claimed->delegate->isa,
              parallel, &claimed->reason);
}

TfLiteStatus Report(TfLiteContext* context, const ClaimedNode& claimed) {
  // Runtimes append where it happened.
  context->ReportError(context, "%s: %s. ", claimed.op->name, claimed.reason.text);
  return kTfLiteError;
}

void FreeKernel(TfLiteContext*, void* user_data) {
  ClaimedNode* claimed = static_cast<ClaimedNode*>(user_data);
  if (claimed == nullptr) return;
  if (claimed->op->release != nullptr) claimed->op->release(claimed->State());
  free(claimed->inputs);
  free(claimed->outputs);
  free(claimed);
}

// Cannot fail: what is wrong is said by `prepare`. Null means that there is no memory.
void* InitKernel(TfLiteContext* context, const char* buffer, size_t) {
  const auto& params = *reinterpret_cast<const TfLiteDelegateParams*>(buffer);
  TfLiteNode* node = nullptr;
  TfLiteRegistration* registration = nullptr;
  if (context->GetNodeAndRegistration(context, params.nodes_to_replace->data[0], &node,
                                      &registration) != kTfLiteOk) {
    return nullptr;
  }
  const Operator* op = FindOperator(registration->custom_name);
  auto* claimed = static_cast<ClaimedNode*>(calloc(1, sizeof(ClaimedNode) + op->state_size));
  if (claimed == nullptr) return nullptr;
  claimed->op = op;
  claimed->delegate = static_cast<Delegate*>(params.delegate->data_);
  claimed->inputs = Copy(node->inputs);
  claimed->outputs = Copy(node->outputs);
  claimed->scratch = -1;
  const int size = node->custom_initial_data_size;
  claimed->is_sound = op->read_options(node->custom_initial_data, size < 0 ? 0 : size,
                                       claimed->State(), &claimed->reason);
  return claimed;
}

// Memory that operators need while they run comes from the runtime's arena, which they share.
bool AddScratch(TfLiteContext* context, TfLiteNode* node, ClaimedNode* claimed) {
  if (!claimed->op->needs_scratch || claimed->scratch >= 0) return true;
  auto* temporaries = static_cast<TfLiteIntArray*>(malloc(sizeof(TfLiteIntArray) + sizeof(int)));
  int index;
  if (temporaries == nullptr || context->AddTensors(context, 1, &index) != kTfLiteOk) {
    free(temporaries);
    return claimed->reason.Set("there is no memory for scratch");
  }
  TfLiteTensor* tensor = &context->tensors[index];
  tensor->type = kTfLiteUInt8;
  tensor->allocation_type = kTfLiteArenaRw;
  tensor->name = "TfqScratch";
  temporaries->size = 1;
  temporaries->data[0] = index;
  free(node->temporaries);
  node->temporaries = temporaries;
  claimed->scratch = index;
  return true;
}

void ShareThreads(const TfLiteContext& context, ClaimedNode* claimed) {
  ThreadPool* pool = claimed->delegate->pool;
  int wanted = claimed->delegate->num_threads;
  if (wanted == 0) wanted = context.recommended_num_threads;
  claimed->threads = {pool, wanted > 1 ? pool->Reserve(wanted) : 1};
}

TfLiteStatus PrepareKernel(TfLiteContext* context, TfLiteNode* delegate_node) {
  ClaimedNode* claimed = static_cast<ClaimedNode*>(delegate_node->user_data);
  if (claimed == nullptr) {
    context->ReportError(context, "tfq: there is no memory for a node");
    return kTfLiteError;
  }
  if (!claimed->is_sound || !AddScratch(context, delegate_node, claimed)) {
    return Report(context, *claimed);
  }
  ShareThreads(*context, claimed);
  const Parallel parallel = claimed->threads.AsParallel();
  Node node = NodeOf(context, claimed, parallel);
  return claimed->op->prepare(&node, claimed->State()) ? kTfLiteOk : Report(context, *claimed);
}

TfLiteStatus InvokeKernel(TfLiteContext* context, TfLiteNode* delegate_node) {
  ClaimedNode* claimed = static_cast<ClaimedNode*>(delegate_node->user_data);
  const Parallel parallel = claimed->threads.AsParallel();
  const Node node = NodeOf(context, claimed, parallel);
  return claimed->op->invoke(node, claimed->State()) ? kTfLiteOk : Report(context, *claimed);
}

}  // namespace

TfLiteRegistration KernelOf(const Operator& op) {
  TfLiteRegistration registration = {};
  registration.init = InitKernel;
  registration.free = FreeKernel;
  registration.prepare = PrepareKernel;
  registration.invoke = InvokeKernel;
  registration.custom_name = op.name;
  registration.version = 1;
  return registration;
}

}  // namespace tfq
