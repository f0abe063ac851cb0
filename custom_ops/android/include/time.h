// What the delegate uses of <time.h> (../libc_symbols.txt), for building it without an NDK.
#ifndef TFQ_ANDROID_TIME_H_
#define TFQ_ANDROID_TIME_H_

typedef int clockid_t;

struct timespec {
  long tv_sec;
  long tv_nsec;
};

#define CLOCK_MONOTONIC 1  // the kernel's number

extern "C" int clock_gettime(clockid_t clock, struct timespec* time);

#endif  // TFQ_ANDROID_TIME_H_
