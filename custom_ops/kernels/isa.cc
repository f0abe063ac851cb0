#include "kernels/isa.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/isa_table.h"

namespace tfq {

namespace {

// Fastest first.
const Isa* const kTable[] = {
#if defined(__x86_64__)
    &kIsaAvx512,
    &kIsaAvx2,
#elif defined(__aarch64__)
    &kIsaNeon,
#endif
    &kIsaPortable,
};
constexpr int kNumIsas = sizeof(kTable) / sizeof(kTable[0]);

}  // namespace

const Isa* IsaAt(int index) { return 0 <= index && index < kNumIsas ? kTable[index] : nullptr; }

const char* IsaName(const Isa& isa) { return isa.name; }

bool IsaIsSupported(const Isa& isa) { return isa.is_supported(); }

const Isa* SelectIsa(const char* name) {
  const bool any = name == nullptr || *name == '\0';
  for (const Isa* isa : kTable) {
    if ((any || strcmp(name, isa->name) == 0) && isa->is_supported()) return isa;
  }
  return nullptr;
}

const Isa* SelectIsaFromEnvironment() { return SelectIsa(getenv("TFQ_FORCE_KERNEL")); }

}  // namespace tfq
