// libtfq_delegate.so: the binary operators TfqBconv2d, TfqBdense, TfqBitpack, TfqBmaxpool and
// TfqPrelu for any TensorFlow Lite or LiteRT, as an external delegate. It needs the C library and
// nothing else, and nothing has to be rebuilt.
//
// With the runtime's own loader of external delegates, in C or C++; this header is not needed:
//
//   #include "tensorflow/lite/delegates/external/external_delegate.h"  // LiteRT: "tflite/..."
//
//   TfLiteExternalDelegateOptions options =
//       TfLiteExternalDelegateOptionsDefault("libtfq_delegate.so");
//   options.insert(&options, "threads", "2");
//   TfLiteDelegate* delegate = TfLiteExternalDelegateCreate(&options);
//   TfLiteInterpreterOptionsAddDelegate(interpreter_options, delegate);  // C
//   interpreter->ModifyGraphWithDelegate(delegate);                      // C++
//   ...  // use the interpreter, then delete it
//   TfLiteExternalDelegateDelete(delegate);
//
// On Android the same file goes to Google's tools: `benchmark_model --graph=model.tflite
// --external_delegate_path=libtfq_delegate.so --external_delegate_options='threads:2'`.
//
// Without that loader, by dlopen, in C or C++:
//
//   #include <dlfcn.h>
//   #include "tflite/tfq_delegate.h"
//
//   void* library = dlopen("libtfq_delegate.so", RTLD_NOW | RTLD_LOCAL);  // null: dlerror()
//   TfqCreateDelegate create =
//       (TfqCreateDelegate)dlsym(library, "tflite_plugin_create_delegate");
//   TfqDestroyDelegate destroy =
//       (TfqDestroyDelegate)dlsym(library, "tflite_plugin_destroy_delegate");
//   const char* keys[] = {"threads", "kernel"};
//   const char* values[] = {"2", "portable"};
//   TfLiteDelegate* delegate = create(keys, values, 2, report);  // null: `report` was told why
//   ...  // give it to an interpreter, as above; it outlives its interpreters
//   destroy(delegate);
//
// Options, all optional:
//   threads: 1 to 64, the caller's among them; without it as many as the interpreter recommends,
//       or 1.
//   kernel: avx512, avx2, neon or portable; without it what the environment variable
//       TFQ_FORCE_KERNEL names; without both the fastest that the processor runs. Results are the
//       same.
//
// A delegate serves any number of interpreters, also at once: its threads help one of them at a
// time, the others run in their own thread meanwhile.
#ifndef TFQ_TFLITE_TFQ_DELEGATE_H_
#define TFQ_TFLITE_TFQ_DELEGATE_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct TfLiteDelegate TfLiteDelegate;

// `report_error` may be null.
__attribute__((visibility("default"))) TfLiteDelegate* tflite_plugin_create_delegate(
    const char* const* keys, const char* const* values, size_t count,
    void (*report_error)(const char* reason));

__attribute__((visibility("default"))) void tflite_plugin_destroy_delegate(
    TfLiteDelegate* delegate);

typedef TfLiteDelegate* (*TfqCreateDelegate)(const char* const*, const char* const*, size_t,
                                             void (*)(const char*));
typedef void (*TfqDestroyDelegate)(TfLiteDelegate*);

#ifdef __cplusplus
}
#endif

#endif  // TFQ_TFLITE_TFQ_DELEGATE_H_
