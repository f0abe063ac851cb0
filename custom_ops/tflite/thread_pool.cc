#include "tflite/thread_pool.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

namespace tfq {
namespace {

// How long a worker looks for the next job: longer than what lies between two layers of a network
// mostly takes, shorter than what anyone would notice on the battery. Waking a sleeper costs some
// 50 microseconds, as much as a layer.
constexpr int64_t kSpinNanoseconds = 200 * 1000;
constexpr int kPausesPerLook = 16;  // a look at the clock or the scheduler costs more than a pause

int64_t Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <typename Condition>
void SpinUntil(Condition condition) {
  for (int i = 1; !condition(); ++i) {
    Pause();
    // The awaited thread may wait for this processor.
    if (i % (64 * kPausesPerLook) == 0) sched_yield();
  }
}

template <typename T>
T Load(const T& value) {
  return __atomic_load_n(&value, __ATOMIC_RELAXED);
}

template <typename T>
void Store(T* place, T value) {
  __atomic_store_n(place, value, __ATOMIC_RELAXED);
}

uint32_t TasksLeft(uint64_t ticket) { return static_cast<uint32_t>(ticket); }

}  // namespace

Parallel ThreadPool::Share::AsParallel() {
  return {num_threads,
          [](void* share, int num_tasks, Task task, void* context) {
            const Share& self = *static_cast<const Share*>(share);
            self.pool->Run(self.num_threads, num_tasks, task, context);
          },
          this};
}

ThreadPool* ThreadPool::Create() {
  void* memory;
  if (posix_memalign(&memory, alignof(ThreadPool), sizeof(ThreadPool)) != 0) return nullptr;
  memset(memory, 0, sizeof(ThreadPool));
  ThreadPool* pool = static_cast<ThreadPool*>(memory);
  pthread_mutex_init(&pool->mutex_, nullptr);
  pthread_cond_init(&pool->wake_, nullptr);
  return pool;
}

void ThreadPool::Destroy(ThreadPool* pool) {
  if (pool == nullptr) return;
  pthread_mutex_lock(&pool->mutex_);
  Store(&pool->is_stopping_, true);
  pthread_cond_broadcast(&pool->wake_);
  pthread_mutex_unlock(&pool->mutex_);
  for (int i = 0; i < pool->num_workers_; ++i) pthread_join(pool->workers_[i].thread, nullptr);
  pthread_cond_destroy(&pool->wake_);
  pthread_mutex_destroy(&pool->mutex_);
  free(pool);
}

int ThreadPool::Reserve(int num_threads) {
  if (num_threads > kMaxThreads) num_threads = kMaxThreads;
  SpinUntil([this] { return TryLock(); });
  while (num_workers_ < num_threads - 1) {
    Worker* worker = &workers_[num_workers_];
    worker->pool = this;
    worker->index = num_workers_;
    if (pthread_create(&worker->thread, nullptr, &WorkerMain, worker) != 0) break;
    ++num_workers_;
  }
  const int available = num_workers_ + 1;
  Unlock();
  return num_threads < available ? num_threads : available;
}

void ThreadPool::Run(int num_threads, int num_tasks, Task task, void* context) {
  if (num_threads < 2 || num_tasks < 2 || !TryLock()) {
    for (int i = 0; i < num_tasks; ++i) task(context, i);
    return;
  }
  Store(&task_, task);
  Store(&context_, context);
  Store(&worker_limit_, num_threads - 1);
  Store(&unfinished_, num_tasks);
  const uint64_t number = (Load(ticket_) >> 32) + 1;  // atomic: a late worker may be trying it
  // In one order with `num_sleeping_`: either a worker sees the job before it sleeps, or it is seen
  // to sleep here.
  __atomic_store_n(&ticket_, (number << 32) | static_cast<uint32_t>(num_tasks), __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&num_sleeping_, __ATOMIC_SEQ_CST) > 0) {
    pthread_mutex_lock(&mutex_);
    pthread_cond_broadcast(&wake_);
    pthread_mutex_unlock(&mutex_);
  }
  RunTasks(-1);
  SpinUntil([this] { return __atomic_load_n(&unfinished_, __ATOMIC_ACQUIRE) == 0; });
  Unlock();
}

void* ThreadPool::WorkerMain(void* worker) {
  const Worker& self = *static_cast<const Worker*>(worker);
  self.pool->Work(self.index);
  return nullptr;
}

void ThreadPool::Work(int index) {
  int64_t idle_since = Now();
  for (int i = 1; !Load(is_stopping_); ++i) {
    if (RunTasks(index)) {
      idle_since = Now();
    } else if (i % kPausesPerLook != 0 || Now() - idle_since < kSpinNanoseconds) {
      Pause();
    } else {
      Sleep(index);
      idle_since = Now();
    }
  }
}

bool ThreadPool::HasTasks(int worker_index) const {
  return TasksLeft(__atomic_load_n(&ticket_, __ATOMIC_SEQ_CST)) > 0 &&
         worker_index < Load(worker_limit_);
}

bool ThreadPool::RunTasks(int worker_index) {
  bool has_run = false;
  for (;;) {
    uint64_t ticket = __atomic_load_n(&ticket_, __ATOMIC_ACQUIRE);
    if (TasksLeft(ticket) == 0 || worker_index >= Load(worker_limit_)) return has_run;
    // Should these be another job's already, then the ticket has changed and is not taken.
    const Task task = Load(task_);
    void* context = Load(context_);
    if (!__atomic_compare_exchange_n(&ticket_, &ticket, ticket - 1, /*weak=*/true, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED)) {
      continue;
    }
    task(context, static_cast<int>(TasksLeft(ticket)) - 1);
    __atomic_fetch_sub(&unfinished_, 1, __ATOMIC_RELEASE);
    has_run = true;
  }
}

void ThreadPool::Sleep(int worker_index) {
  pthread_mutex_lock(&mutex_);
  __atomic_fetch_add(&num_sleeping_, 1, __ATOMIC_SEQ_CST);
  while (!Load(is_stopping_) && !HasTasks(worker_index)) pthread_cond_wait(&wake_, &mutex_);
  __atomic_fetch_sub(&num_sleeping_, 1, __ATOMIC_SEQ_CST);
  pthread_mutex_unlock(&mutex_);
}

bool ThreadPool::TryLock() { return !__atomic_test_and_set(&is_busy_, __ATOMIC_ACQUIRE); }

void ThreadPool::Unlock() { __atomic_clear(&is_busy_, __ATOMIC_RELEASE); }

}  // namespace tfq
