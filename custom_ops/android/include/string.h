// What the delegate uses of <string.h> (../libc_symbols.txt), for building it without an NDK.
#ifndef TFQ_ANDROID_STRING_H_
#define TFQ_ANDROID_STRING_H_

#include <stddef.h>

extern "C" {

int memcmp(const void* left, const void* right, size_t size);
void* memcpy(void* to, const void* from, size_t size);
void* memmove(void* to, const void* from, size_t size);
void* memset(void* memory, int value, size_t size);
char* strchr(const char* text, int character);
int strcmp(const char* left, const char* right);
size_t strlen(const char* text);
int strncmp(const char* left, const char* right, size_t size);

}  // extern "C"

#endif  // TFQ_ANDROID_STRING_H_
