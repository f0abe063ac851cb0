// What the delegate uses of <pthread.h> (../libc_symbols.txt), for building it without an NDK.
//
// The types are storage that Android's libc works in, and only their addresses cross over: on arm64
// its pthread_mutex_t has 40 bytes and its pthread_cond_t 48, aligned to 4 (bionic,
// libc/include/bits/pthread_types.h). A few bytes more do no harm, and let glibc (48 and 48,
// aligned to 8) run the same library under emulation.
#ifndef TFQ_ANDROID_PTHREAD_H_
#define TFQ_ANDROID_PTHREAD_H_

typedef long pthread_t;
typedef long pthread_mutexattr_t;
typedef long pthread_condattr_t;
typedef struct pthread_attr_t pthread_attr_t;  // only null is passed

typedef struct {
  long storage[6];
} pthread_mutex_t;

typedef struct {
  long storage[6];
} pthread_cond_t;

extern "C" {

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument);
int pthread_join(pthread_t thread, void** result);

int pthread_mutex_init(pthread_mutex_t* mutex, const pthread_mutexattr_t* attributes);
int pthread_mutex_destroy(pthread_mutex_t* mutex);
int pthread_mutex_lock(pthread_mutex_t* mutex);
int pthread_mutex_trylock(pthread_mutex_t* mutex);
int pthread_mutex_unlock(pthread_mutex_t* mutex);

int pthread_cond_init(pthread_cond_t* condition, const pthread_condattr_t* attributes);
int pthread_cond_destroy(pthread_cond_t* condition);
int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex);
int pthread_cond_signal(pthread_cond_t* condition);
int pthread_cond_broadcast(pthread_cond_t* condition);

}  // extern "C"

#endif  // TFQ_ANDROID_PTHREAD_H_
