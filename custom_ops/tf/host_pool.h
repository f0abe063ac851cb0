// TensorFlow's own threads behind the kernels' interface.
#ifndef TFQ_TF_HOST_POOL_H_
#define TFQ_TF_HOST_POOL_H_

#include "kernels/parallel.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/util/work_sharder.h"

namespace tfq {

inline Parallel HostPool(tensorflow::OpKernelContext* context) {
  const tensorflow::DeviceBase::CpuWorkerThreads* threads =
      context->device()->tensorflow_cpu_worker_threads();
  const auto run = [](void* pool, int num_tasks, void (*task)(void*, int), void* task_context) {
    auto* threads = static_cast<const tensorflow::DeviceBase::CpuWorkerThreads*>(pool);
    // In cycles, more than enough for every task to become a piece of work of its own: the kernels
    // have cut the work to the number of threads already.
    constexpr int64_t kCostOfTask = 1 << 24;
    tensorflow::Shard(threads->num_threads, threads->workers, num_tasks, kCostOfTask,
                      [&](int64_t begin, int64_t end) {
                        for (int64_t i = begin; i < end; ++i) task(task_context, i);
                      });
  };
  return {threads->num_threads, run,
          const_cast<tensorflow::DeviceBase::CpuWorkerThreads*>(threads)};
}

}  // namespace tfq

#endif  // TFQ_TF_HOST_POOL_H_
