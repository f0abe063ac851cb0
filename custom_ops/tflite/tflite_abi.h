// What an external delegate sees of LiteRT's C ABI, in declarations of our own: no runtime ships
// the headers with its library. Structs have only ever grown at their end, so that these hold for
// TensorFlow Lite 2.x and LiteRT alike; fields that we leave alone are `void*`.
#ifndef TFQ_TFLITE_TFLITE_ABI_H_
#define TFQ_TFLITE_TFLITE_ABI_H_

#include <stddef.h>
#include <stdint.h>

namespace tfq {

enum TfLiteStatus : int { kTfLiteOk = 0, kTfLiteError = 1 };

enum TfLiteType : int {
  kTfLiteFloat32 = 1,
  kTfLiteInt32 = 2,
  kTfLiteUInt8 = 3,
  kTfLiteInt8 = 9,
};

enum TfLiteAllocation : int {
  kTfLiteMmapRo = 1,   // a constant of the file
  kTfLiteArenaRw = 2,  // planned by the runtime
};

constexpr int kTfLiteOptionalTensor = -1;
constexpr int kTfLiteBuiltinCustom = 32;
// Without it the runtime prepares custom operators before it asks the delegate, and fails.
constexpr int64_t kTfLiteDelegateFlagsAllowDynamicTensors = 1;

struct TfLiteIntArray {
  int size;
  int data[];
};

struct TfLiteTensor {
  int type;  // a TfLiteType, or one that we do not know
  void* data;
  TfLiteIntArray* dims;
  struct {
    float scale;
    int32_t zero_point;
  } params;
  int allocation_type;  // a TfLiteAllocation, or one that we do not know
  size_t bytes;
  const void* allocation;
  const char* name;
  struct TfLiteDelegate* delegate;
  int buffer_handle;
  bool data_is_stale;
  bool is_variable;
  struct {
    int type;
    void* params;
  } quantization;
  void* sparsity;
  const TfLiteIntArray* dims_signature;
};

struct TfLiteNode {
  TfLiteIntArray* inputs;
  TfLiteIntArray* outputs;
  TfLiteIntArray* intermediates;
  TfLiteIntArray* temporaries;
  void* user_data;
  void* builtin_data;
  const void* custom_initial_data;
  int custom_initial_data_size;
  struct TfLiteDelegate* delegate;
  bool might_have_side_effect;
};

struct TfLiteContext;

struct TfLiteRegistration {
  void* (*init)(TfLiteContext*, const char* buffer, size_t length);
  void (*free)(TfLiteContext*, void* user_data);
  TfLiteStatus (*prepare)(TfLiteContext*, TfLiteNode*);
  TfLiteStatus (*invoke)(TfLiteContext*, TfLiteNode*);
  const char* (*profiling_string)(const TfLiteContext*, const TfLiteNode*);
  int32_t builtin_code;
  const char* custom_name;
  int version;
  void* registration_external;
  void* async_kernel;
  uint64_t inplace_operator;
  // It is passed by value: a newer runtime with a longer struct reads these zeros.
  uint64_t reserved[8];
};

struct TfLiteContext {
  size_t tensors_size;
  TfLiteStatus (*GetExecutionPlan)(TfLiteContext*, TfLiteIntArray** plan);
  TfLiteTensor* tensors;
  void* impl_;
  // Takes `size` over, which comes from malloc.
  TfLiteStatus (*ResizeTensor)(TfLiteContext*, TfLiteTensor*, TfLiteIntArray* size);
  void (*ReportError)(TfLiteContext*, const char* format, ...);
  // May move `tensors`.
  TfLiteStatus (*AddTensors)(TfLiteContext*, int count, int* first_index);
  TfLiteStatus (*GetNodeAndRegistration)(TfLiteContext*, int node_index, TfLiteNode**,
                                         TfLiteRegistration**);
  TfLiteStatus (*ReplaceNodeSubsetsWithDelegateKernels)(TfLiteContext*, TfLiteRegistration,
                                                        const TfLiteIntArray* nodes,
                                                        struct TfLiteDelegate*);
  int recommended_num_threads;
};

struct TfLiteDelegate {
  void* data_;
  TfLiteStatus (*Prepare)(TfLiteContext*, TfLiteDelegate*);
  void* CopyFromBufferHandle;
  void* CopyToBufferHandle;
  void* FreeBufferHandle;
  int64_t flags;
  void* opaque_delegate_builder;
};

struct TfLiteDelegateParams {
  TfLiteDelegate* delegate;
  TfLiteIntArray* nodes_to_replace;
  TfLiteIntArray* input_tensors;
  TfLiteIntArray* output_tensors;
};

static_assert(sizeof(void*) == 8, "the offsets below are those of 64-bit targets");

static_assert(offsetof(TfLiteIntArray, data) == 4, "");

static_assert(offsetof(TfLiteTensor, type) == 0, "");
static_assert(offsetof(TfLiteTensor, data) == 8, "");
static_assert(offsetof(TfLiteTensor, dims) == 16, "");
static_assert(offsetof(TfLiteTensor, params) == 24, "");
static_assert(offsetof(TfLiteTensor, allocation_type) == 32, "");
static_assert(offsetof(TfLiteTensor, bytes) == 40, "");
static_assert(offsetof(TfLiteTensor, allocation) == 48, "");
static_assert(offsetof(TfLiteTensor, name) == 56, "");
static_assert(offsetof(TfLiteTensor, delegate) == 64, "");
static_assert(offsetof(TfLiteTensor, buffer_handle) == 72, "");
static_assert(offsetof(TfLiteTensor, data_is_stale) == 76, "");
static_assert(offsetof(TfLiteTensor, is_variable) == 77, "");
static_assert(offsetof(TfLiteTensor, quantization) == 80, "");
static_assert(offsetof(TfLiteTensor, sparsity) == 96, "");
static_assert(offsetof(TfLiteTensor, dims_signature) == 104, "");
static_assert(sizeof(TfLiteTensor) == 112, "tensors are an array: their size is part of the ABI");

static_assert(offsetof(TfLiteNode, inputs) == 0, "");
static_assert(offsetof(TfLiteNode, outputs) == 8, "");
static_assert(offsetof(TfLiteNode, intermediates) == 16, "");
static_assert(offsetof(TfLiteNode, temporaries) == 24, "");
static_assert(offsetof(TfLiteNode, user_data) == 32, "");
static_assert(offsetof(TfLiteNode, builtin_data) == 40, "");
static_assert(offsetof(TfLiteNode, custom_initial_data) == 48, "");
static_assert(offsetof(TfLiteNode, custom_initial_data_size) == 56, "");
static_assert(offsetof(TfLiteNode, delegate) == 64, "");
static_assert(offsetof(TfLiteNode, might_have_side_effect) == 72, "");

static_assert(offsetof(TfLiteRegistration, init) == 0, "");
static_assert(offsetof(TfLiteRegistration, free) == 8, "");
static_assert(offsetof(TfLiteRegistration, prepare) == 16, "");
static_assert(offsetof(TfLiteRegistration, invoke) == 24, "");
static_assert(offsetof(TfLiteRegistration, profiling_string) == 32, "");
static_assert(offsetof(TfLiteRegistration, builtin_code) == 40, "");
static_assert(offsetof(TfLiteRegistration, custom_name) == 48, "");
static_assert(offsetof(TfLiteRegistration, version) == 56, "");
static_assert(offsetof(TfLiteRegistration, registration_external) == 64, "");
static_assert(offsetof(TfLiteRegistration, async_kernel) == 72, "");
static_assert(offsetof(TfLiteRegistration, inplace_operator) == 80, "");
static_assert(offsetof(TfLiteRegistration, reserved) == 88, "");

static_assert(offsetof(TfLiteContext, tensors_size) == 0, "");
static_assert(offsetof(TfLiteContext, GetExecutionPlan) == 8, "");
static_assert(offsetof(TfLiteContext, tensors) == 16, "");
static_assert(offsetof(TfLiteContext, impl_) == 24, "");
static_assert(offsetof(TfLiteContext, ResizeTensor) == 32, "");
static_assert(offsetof(TfLiteContext, ReportError) == 40, "");
static_assert(offsetof(TfLiteContext, AddTensors) == 48, "");
static_assert(offsetof(TfLiteContext, GetNodeAndRegistration) == 56, "");
static_assert(offsetof(TfLiteContext, ReplaceNodeSubsetsWithDelegateKernels) == 64, "");
static_assert(offsetof(TfLiteContext, recommended_num_threads) == 72, "");

static_assert(offsetof(TfLiteDelegate, data_) == 0, "");
static_assert(offsetof(TfLiteDelegate, Prepare) == 8, "");
static_assert(offsetof(TfLiteDelegate, CopyFromBufferHandle) == 16, "");
static_assert(offsetof(TfLiteDelegate, CopyToBufferHandle) == 24, "");
static_assert(offsetof(TfLiteDelegate, FreeBufferHandle) == 32, "");
static_assert(offsetof(TfLiteDelegate, flags) == 40, "");
static_assert(offsetof(TfLiteDelegate, opaque_delegate_builder) == 48, "");

static_assert(offsetof(TfLiteDelegateParams, delegate) == 0, "");
static_assert(offsetof(TfLiteDelegateParams, nodes_to_replace) == 8, "");
static_assert(offsetof(TfLiteDelegateParams, input_tensors) == 16, "");
static_assert(offsetof(TfLiteDelegateParams, output_tensors) == 24, "");

}  // namespace tfq

#endif  // TFQ_TFLITE_TFLITE_ABI_H_
