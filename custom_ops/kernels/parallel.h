// How kernels use threads: an interface to a pool that the host brings. Results never depend on it.
#ifndef TFQ_KERNELS_PARALLEL_H_
#define TFQ_KERNELS_PARALLEL_H_

namespace tfq {

// Runs `task(context, i)` for every i in [0, num_tasks), in any order, and returns when all are done.
struct Parallel {
  int num_threads;  // how many tasks can run at once, at least 1
  void (*run)(void* pool, int num_tasks, void (*task)(void* context, int index), void* context);
  void* pool;
};

// Runs the tasks one after the other in the calling thread.
inline Parallel Serial() {
  return {1,
          [](void*, int num_tasks, void (*task)(void*, int), void* context) {
            for (int i = 0; i < num_tasks; ++i) task(context, i);
          },
          nullptr};
}

}  // namespace tfq

#endif  // TFQ_KERNELS_PARALLEL_H_
