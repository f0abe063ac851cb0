// How kernels use threads: an interface to a pool that the host brings. Results never depend on it.
#ifndef TFQ_KERNELS_PARALLEL_H_
#define TFQ_KERNELS_PARALLEL_H_

#include <stdint.h>

namespace tfq {

// Runs `task(context, i)` for every i in [0, num_tasks), in any order, and returns when all are
// done.
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

// Calls body(begin, end) on ranges that make up [0, count), one a thread, none of them below
// `min_range` where there are several.
template <typename Body>
void ForRanges(const Parallel& parallel, int64_t count, int64_t min_range, const Body& body) {
  struct Context {
    const Body& body;
    int64_t count, tasks;
  };
  const int64_t wanted = count / (min_range > 1 ? min_range : 1);
  const int64_t tasks = wanted < parallel.num_threads ? wanted : parallel.num_threads;
  if (tasks <= 1) return body(int64_t{0}, count);
  Context context = {body, count, tasks};
  parallel.run(
      parallel.pool, static_cast<int>(tasks),
      [](void* pointer, int i) {
        const Context& c = *static_cast<const Context*>(pointer);
        // Ranges differ by one at most.
        const int64_t length = c.count / c.tasks, longer = c.count % c.tasks;
        const int64_t begin = i * length + (i < longer ? i : longer);
        c.body(begin, begin + length + (i < longer));
      },
      &context);
}

}  // namespace tfq

#endif  // TFQ_KERNELS_PARALLEL_H_
