// What the delegate uses of <stdlib.h> (../libc_symbols.txt), for building it without an NDK.
#ifndef TFQ_ANDROID_STDLIB_H_
#define TFQ_ANDROID_STDLIB_H_

#include <stddef.h>

extern "C" {

[[noreturn]] void abort(void);
void* calloc(size_t count, size_t size);
void free(void* memory);
char* getenv(const char* name);
void* malloc(size_t size);
int posix_memalign(void** memory, size_t alignment, size_t size);
void* realloc(void* memory, size_t size);
long strtol(const char* text, char** end, int base);
unsigned long strtoul(const char* text, char** end, int base);

}  // extern "C"

#endif  // TFQ_ANDROID_STDLIB_H_
