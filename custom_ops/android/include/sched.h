// What the delegate uses of <sched.h> (../libc_symbols.txt), for building it without an NDK.
#ifndef TFQ_ANDROID_SCHED_H_
#define TFQ_ANDROID_SCHED_H_

extern "C" int sched_yield(void);

#endif  // TFQ_ANDROID_SCHED_H_
