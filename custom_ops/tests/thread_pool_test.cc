#include "tflite/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace tfq {
namespace {

struct Deleter {
  void operator()(ThreadPool* pool) const { ThreadPool::Destroy(pool); }
};

std::unique_ptr<ThreadPool, Deleter> MakePool(int num_threads) {
  std::unique_ptr<ThreadPool, Deleter> pool(ThreadPool::Create());
  EXPECT_EQ(pool->Reserve(num_threads), num_threads);
  return pool;
}

void Count(void* counts, int index) { ++(*static_cast<std::vector<int>*>(counts))[index]; }

TEST(ThreadPool, EveryTaskRunsOnceWhateverTheNumbers) {
  for (int num_threads : {1, 2, 3, 8}) {
    const auto pool = MakePool(num_threads);
    for (int num_tasks : {0, 1, 2, 3, 7, 8, 9, 1000}) {
      std::vector<int> counts(num_tasks);  // not atomic: the thread sanitizer sees a task run twice
      pool->Run(num_threads, num_tasks, Count, &counts);
      EXPECT_EQ(counts, std::vector<int>(num_tasks, 1)) << num_threads << ", " << num_tasks;
    }
  }
}

TEST(ThreadPool, ManyJobsFollowOneAnother) {
  const auto pool = MakePool(3);
  std::vector<int> counts(5);
  constexpr int kJobs = 20000;
  for (int job = 0; job < kJobs; ++job) pool->Run(3, 5, Count, &counts);
  EXPECT_EQ(counts, std::vector<int>(5, kJobs));
}

// Waits in every task until all have begun: it ends only if they run at once.
struct Meeting {
  std::atomic<int> present{0};
  int expected;
};

void Meet(void* meeting, int) {
  Meeting& self = *static_cast<Meeting*>(meeting);
  ++self.present;
  while (self.present < self.expected) std::this_thread::yield();
}

TEST(ThreadPool, TasksRunAtOnceAlsoAfterTheWorkersSlept) {
  const auto pool = MakePool(4);
  for (int round = 0; round < 3; ++round) {
    Meeting meeting;
    meeting.expected = 4;
    pool->Run(4, 4, Meet, &meeting);
    EXPECT_EQ(meeting.present, 4);
    // Longer than workers look for a job.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

struct Threads {
  std::atomic<int> running{0};
  std::atomic<int> most{0};
};

void Watch(void* threads, int) {
  Threads& self = *static_cast<Threads*>(threads);
  const int running = ++self.running;
  int most = self.most;
  while (running > most && !self.most.compare_exchange_weak(most, running)) {
  }
  std::this_thread::yield();
  --self.running;
}

TEST(ThreadPool, AJobHasNoMoreThreadsThanItAskedFor) {
  const auto pool = MakePool(6);
  for (int num_threads : {1, 2, 3}) {
    Threads threads;
    for (int job = 0; job < 200; ++job) pool->Run(num_threads, 50, Watch, &threads);
    EXPECT_LE(threads.most, num_threads);
    EXPECT_GE(threads.most, 1);
  }
}

TEST(ThreadPool, SeveralCallersAtOnceAllGetTheirTasksDone) {
  const auto pool = MakePool(2);
  std::vector<std::thread> callers;
  std::vector<std::vector<int>> counts(4, std::vector<int>(10));
  constexpr int kJobs = 2000;
  for (auto& mine : counts) {
    callers.emplace_back([&] {
      for (int job = 0; job < kJobs; ++job) pool->Run(2, 10, Count, &mine);
    });
  }
  for (auto& caller : callers) caller.join();
  for (const auto& mine : counts) EXPECT_EQ(mine, std::vector<int>(10, kJobs));
}

TEST(ThreadPool, ItGrowsWhileOthersUseIt) {
  const auto pool = MakePool(2);
  std::vector<int> counts(10);
  constexpr int kJobs = 5000;
  std::thread caller([&] {
    for (int job = 0; job < kJobs; ++job) pool->Run(2, 10, Count, &counts);
  });
  for (int num_threads = 3; num_threads <= 8; ++num_threads) {
    EXPECT_EQ(pool->Reserve(num_threads), num_threads);
  }
  caller.join();
  EXPECT_EQ(counts, std::vector<int>(10, kJobs));
  EXPECT_EQ(pool->Reserve(ThreadPool::kMaxThreads + 1), ThreadPool::kMaxThreads);
}

struct Nested {
  ThreadPool* pool;
  std::vector<std::vector<int>> counts;
};

void RunNested(void* nested, int index) {
  Nested& self = *static_cast<Nested*>(nested);
  self.pool->Run(2, 5, Count, &self.counts[index]);
}

TEST(ThreadPool, ATaskMayUseThePoolItself) {
  const auto pool = MakePool(2);
  Nested nested{pool.get(), std::vector<std::vector<int>>(6, std::vector<int>(5))};
  pool->Run(2, 6, RunNested, &nested);
  for (const auto& each : nested.counts) EXPECT_EQ(each, std::vector<int>(5, 1));
}

TEST(ThreadPool, AShareIsAParallelOfItsThreads) {
  const auto pool = MakePool(4);
  ThreadPool::Share share{pool.get(), 2};
  const Parallel parallel = share.AsParallel();
  EXPECT_EQ(parallel.num_threads, 2);
  std::vector<int> counts(9);
  parallel.run(parallel.pool, 9, Count, &counts);
  EXPECT_EQ(counts, std::vector<int>(9, 1));
}

TEST(ThreadPool, APoolThatNeverWorkedIsDestroyed) {
  for (int i = 0; i < 50; ++i) EXPECT_NE(MakePool(1 + i % 4), nullptr);
}

}  // namespace
}  // namespace tfq
