// The instruction sets that kernels are written for, fastest first.
#ifndef TFQ_KERNELS_ISA_H_
#define TFQ_KERNELS_ISA_H_

namespace tfq {

struct Isa;  // a row of kernels, private to this directory (isa_table.h)

// Rows that are compiled in, in order; `IsaAt(i)` is null from the end on.
const Isa* IsaAt(int index);
const char* IsaName(const Isa& isa);  // "avx512", "avx2", "neon", "portable"
bool IsaIsSupported(const Isa& isa);  // by this processor

// Returns the row called `name`; the fastest supported one if `name` is null or empty. Null if
// there is no such row or this processor cannot run it.
const Isa* SelectIsa(const char* name);

// The same with the name from the environment variable TFQ_FORCE_KERNEL.
const Isa* SelectIsaFromEnvironment();

}  // namespace tfq

#endif  // TFQ_KERNELS_ISA_H_
