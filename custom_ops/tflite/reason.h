// Why something cannot be done, in words for whoever wrote the model.
#ifndef TFQ_TFLITE_REASON_H_
#define TFQ_TFLITE_REASON_H_

#include <stdarg.h>
#include <stdio.h>

namespace tfq {

struct Reason {
  char text[256];

  // Always false, so that `return reason->Set(...)` fails.
  __attribute__((format(printf, 2, 3))) bool Set(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return false;
  }
};

}  // namespace tfq

#endif  // TFQ_TFLITE_REASON_H_
