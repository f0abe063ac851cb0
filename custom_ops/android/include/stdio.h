// What the delegate uses of <stdio.h> (../libc_symbols.txt), for building it without an NDK.
#ifndef TFQ_ANDROID_STDIO_H_
#define TFQ_ANDROID_STDIO_H_

#include <stdarg.h>
#include <stddef.h>

extern "C" {

int snprintf(char* text, size_t size, const char* format, ...)
    __attribute__((format(printf, 3, 4)));
int vsnprintf(char* text, size_t size, const char* format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

}  // extern "C"

#endif  // TFQ_ANDROID_STDIO_H_
