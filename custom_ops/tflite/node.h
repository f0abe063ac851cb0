// A node of the model as its operator sees it: its tensors by their position, checked before use.
// What does not fit leaves its reason and returns null or false.
#ifndef TFQ_TFLITE_NODE_H_
#define TFQ_TFLITE_NODE_H_

#include <stddef.h>
#include <stdint.h>

#include "kernels/isa.h"
#include "kernels/parallel.h"
#include "tflite/reason.h"
#include "tflite/tflite_abi.h"

namespace tfq {

template <typename T>
inline constexpr TfLiteType kTypeOf = kTfLiteFloat32;
template <>
inline constexpr TfLiteType kTypeOf<int32_t> = kTfLiteInt32;
template <>
inline constexpr TfLiteType kTypeOf<uint32_t> = kTfLiteInt32;  // words
template <>
inline constexpr TfLiteType kTypeOf<uint8_t> = kTfLiteUInt8;
template <>
inline constexpr TfLiteType kTypeOf<int8_t> = kTfLiteInt8;

// The shape and type of a tensor that has passed the checks of `Node`.
struct TensorView {
  static constexpr int kMaxRank = 8;

  TfLiteType type;
  int rank;
  int32_t sizes[kMaxRank];

  int64_t Elements() const;
  size_t Bytes() const;
  int32_t Last() const { return sizes[rank - 1]; }
  int64_t Rows() const;  // elements of all but the last axis
};

class Node {
 public:
  Node(TfLiteContext* context, const TfLiteIntArray* inputs, const TfLiteIntArray* outputs,
       int scratch, const Isa& isa, const Parallel& parallel, Reason* reason)
      : context_(context),
        inputs_(inputs),
        outputs_(outputs),
        scratch_(scratch),
        isa_(isa),
        parallel_(parallel),
        reason_(reason) {}

  const Isa& isa() const { return isa_; }
  const Parallel& parallel() const { return parallel_; }
  Reason* reason() const { return reason_; }

  // When it is prepared.

  // There is one output, and from `lowest` to `highest` inputs.
  bool CheckCounts(int lowest, int highest) const;
  bool HasInput(int position) const;
  bool ViewInput(int position, const char* name, TensorView* view) const;
  bool ViewOutput(TensorView* view) const;
  bool ResizeOutput(const TensorView& view);
  bool ReserveScratch(size_t bytes);

  // The values of a constant of just this shape.
  template <typename T>
  const T* Constant(int position, const char* name, const int64_t* sizes, int rank) const {
    return static_cast<const T*>(
        ConstantOf(position, name, kTypeOf<T>, sizes, rank, sizeof(T), alignof(T)));
  }
  template <typename T>
  const T* ConstantVector(int position, const char* name, int64_t size) const {
    return Constant<T>(position, name, &size, 1);
  }

  // When it runs: memory of at least this size.

  template <typename T>
  const T* InputData(int position, const char* name, size_t bytes) const {
    return static_cast<const T*>(Data(*Input(position), name, bytes, alignof(T)));
  }
  template <typename T>
  T* OutputData(size_t bytes) const {
    return static_cast<T*>(Data(*Output(), "the output", bytes, alignof(T)));
  }
  void* Scratch(size_t bytes) const;

 private:
  TfLiteTensor* Tensor(const TfLiteIntArray* indices, int position) const;
  TfLiteTensor* Input(int position) const { return Tensor(inputs_, position); }
  TfLiteTensor* Output() const { return Tensor(outputs_, 0); }
  bool View(const TfLiteTensor* tensor, const char* name, TensorView* view) const;
  const void* ConstantOf(int position, const char* name, TfLiteType type, const int64_t* sizes,
                         int rank, size_t size, size_t alignment) const;
  void* Data(const TfLiteTensor& tensor, const char* name, size_t bytes, size_t alignment) const;

  TfLiteContext* context_;
  const TfLiteIntArray* inputs_;
  const TfLiteIntArray* outputs_;
  int scratch_;  // index of a tensor that the runtime shares between operators
  const Isa& isa_;
  const Parallel& parallel_;
  Reason* reason_;
};

const char* TypeName(TfLiteType type);
size_t TypeSize(TfLiteType type);  // 0 if it is none of ours

}  // namespace tfq

#endif  // TFQ_TFLITE_NODE_H_
