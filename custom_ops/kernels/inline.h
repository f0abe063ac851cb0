// Functions that take the target attribute of the function they are inlined into: without one of
// their own they may be inlined into any.
#ifndef TFQ_KERNELS_INLINE_H_
#define TFQ_KERNELS_INLINE_H_

#define TFQ_INLINE inline __attribute__((always_inline))

#endif  // TFQ_KERNELS_INLINE_H_
