// Threads of a delegate, for jobs of some tens of microseconds: a worker that has finished looks
// for the next job for a while before it sleeps, and whoever asks works too.
//
//   ThreadPool* pool = ThreadPool::Create();
//   int threads = pool->Reserve(4);                  // when a model is prepared
//   ThreadPool::Share share = {pool, threads};
//   BmaxpoolRun(..., share.AsParallel());            // from any thread
//   ThreadPool::Destroy(pool);
//
// Several callers at once: the first one has the workers, the others run their tasks themselves.
#ifndef TFQ_TFLITE_THREAD_POOL_H_
#define TFQ_TFLITE_THREAD_POOL_H_

#include <pthread.h>
#include <stdint.h>

#include "kernels/parallel.h"

namespace tfq {

class ThreadPool {
 public:
  static constexpr int kMaxThreads = 64;

  using Task = void (*)(void* context, int index);

  // A user of the pool that wants at most `num_threads` threads, its own among them.
  struct Share {
    ThreadPool* pool;
    int num_threads;
    Parallel AsParallel();  // this share must outlive it
  };

  static ThreadPool* Create();  // null without memory
  static void Destroy(ThreadPool* pool);

  // Starts workers until `num_threads` threads can work, the caller's among them. Returns how many
  // can: fewer where the system gives no more.
  int Reserve(int num_threads);

  void Run(int num_threads, int num_tasks, Task task, void* context);

 private:
  struct Worker {
    ThreadPool* pool;
    int index;
    pthread_t thread;
  };

  static void* WorkerMain(void* worker);
  void Work(int index);
  bool RunTasks(int worker_index);
  bool HasTasks(int worker_index) const;
  void Sleep(int worker_index);
  bool TryLock();
  void Unlock();

  // One job at a time, owned by who holds `is_busy_`. `ticket_` is its number (upper half, so that
  // a worker that comes late never mistakes the next job for its own) and how many tasks are left
  // to take (lower half). The fields of a job change only while none is left.
  alignas(64) uint64_t ticket_;
  Task task_;
  void* context_;
  int worker_limit_;  // workers from this index on leave the job alone
  alignas(64) int unfinished_;
  alignas(64) bool is_busy_;
  bool is_stopping_;
  int num_sleeping_;  // changed under `mutex_`
  pthread_mutex_t mutex_;
  pthread_cond_t wake_;
  int num_workers_;  // changed by who holds `is_busy_`
  Worker workers_[kMaxThreads];
};

}  // namespace tfq

#endif  // TFQ_TFLITE_THREAD_POOL_H_
