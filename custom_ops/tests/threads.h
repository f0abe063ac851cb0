// A thread for every task: nothing like a pool, but every interleaving is possible.
#ifndef TFQ_TESTS_THREADS_H_
#define TFQ_TESTS_THREADS_H_

#include <thread>
#include <vector>

#include "kernels/parallel.h"

namespace tfq_test {

class Threads {
 public:
  explicit Threads(int num_threads) : num_threads_(num_threads) {}

  tfq::Parallel parallel() { return {num_threads_, Run, nullptr}; }

 private:
  static void Run(void*, int num_tasks, void (*task)(void*, int), void* context) {
    std::vector<std::thread> threads;
    for (int i = 1; i < num_tasks; ++i) threads.emplace_back(task, context, i);
    if (num_tasks > 0) task(context, 0);
    for (std::thread& thread : threads) thread.join();
  }

  int num_threads_;
};

}  // namespace tfq_test

#endif  // TFQ_TESTS_THREADS_H_
