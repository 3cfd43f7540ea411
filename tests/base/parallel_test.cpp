// SPDX-License-Identifier: Apache-2.0
#include "base/parallel.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace qpcseal {
namespace {

using Counts = std::vector<std::atomic<int>>;

// Each task adds one to its own number.
std::function<Work()> counting(Counts& counts) {
  return [&counts]() -> Work { return [&counts](std::uint64_t task) { ++counts.at(task); }; };
}

void expect_each_once(const Counts& counts) {
  for (std::size_t task = 0; task < counts.size(); ++task) EXPECT_EQ(counts[task], 1) << task;
}

TEST(RunParallel, DoesEachTaskOnceWhateverTheNumberOfThreads) {
  for (const unsigned threads : {0U, 1U, 2U, 7U, 200U}) {
    Counts counts(100);
    run_parallel(threads, counts.size(), counting(counts), {});
    expect_each_once(counts);
  }
}

TEST(RunParallel, MakesAWorkForEachThreadInThatThread) {
  std::mutex mutex;
  std::set<std::thread::id> made;
  std::atomic<int> waiting{0};
  run_parallel(3, 3,
               [&]() -> Work {
                 const std::lock_guard lock(mutex);
                 made.insert(std::this_thread::get_id());
                 return [&, maker = std::this_thread::get_id()](std::uint64_t) {
                   EXPECT_EQ(maker, std::this_thread::get_id());
                   ++waiting;
                   while (waiting < 3) std::this_thread::yield();  // so that no thread takes two
                 };
               },
               {});
  EXPECT_EQ(made.size(), 3U);
  EXPECT_FALSE(made.contains(std::this_thread::get_id()));
}

TEST(RunParallel, StartsNoMoreThreadsThanThereAreTasks) {
  std::atomic<int> made{0};
  const auto make = [&]() -> Work {
    ++made;
    return [](std::uint64_t) {};
  };
  run_parallel(8, 2, make, {});
  EXPECT_LE(made, 2);
  made = 0;
  run_parallel(8, 0, make, {});
  EXPECT_EQ(made, 0);
}

TEST(RunParallel, TakesTasksInOrder) {
  std::vector<std::uint64_t> seen;
  run_parallel(1, 50, [&]() -> Work { return [&](std::uint64_t task) { seen.push_back(task); }; }, {});
  ASSERT_EQ(seen.size(), 50U);
  for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], i);
}

TEST(RunParallel, ThrowsWhatATaskThrewAndStartsNoOther) {
  std::atomic<std::uint64_t> last{0};
  const auto make = [&]() -> Work {
    return [&](std::uint64_t task) {
      last = task;
      if (task == 3) throw std::runtime_error("the fourth");
    };
  };
  try {
    run_parallel(1, 1000, make, {});
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "the fourth");
  }
  EXPECT_EQ(last, 3U);
}

TEST(RunParallel, ThrowsWhatTheMakingOfAWorkThrew) {
  EXPECT_THROW(run_parallel(2, 10, []() -> Work { throw std::runtime_error("no session"); }, {}),
               std::runtime_error);
}

TEST(RunParallel, TicksInTheCallingThreadWhileTasksRun) {
  std::atomic<int> ticks{0};
  run_parallel(
      2, 2,
      [&]() -> Work {
        return [&](std::uint64_t) {
          while (ticks < 2) std::this_thread::yield();
        };
      },
      [&, caller = std::this_thread::get_id()] {
        EXPECT_EQ(caller, std::this_thread::get_id());
        ++ticks;
      });
  EXPECT_GE(ticks, 2);
}

TEST(RunParallel, StopsWhenATickThrows) {
  std::atomic<bool> stopped{false};
  std::atomic<std::uint64_t> done{0};
  const auto make = [&]() -> Work {
    return [&](std::uint64_t) {
      while (!stopped) std::this_thread::yield();
      ++done;
    };
  };
  const auto tick = [&] {
    stopped = true;
    throw std::domain_error("interrupted");
  };
  EXPECT_THROW(run_parallel(2, 1U << 30U, make, tick), std::domain_error);
  EXPECT_LT(done, 1U << 30U);
}

// --- where the system allows no other thread: in a process that is not root's, for which the limit holds

void allow_no_thread() {
  const rlimit none{0, 0};
  if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) _exit(100);
  if (setrlimit(RLIMIT_NPROC, &none) != 0) _exit(101);
  try {
    std::thread([] {}).join();
    _exit(102);
  } catch (const std::system_error&) {  // as it should be
  }
}

// What `use` says, of a process without threads.
int alone(int (*use)()) {
  const pid_t child = fork();
  if (child == 0) {
    allow_no_thread();
    _exit(use());
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

TEST(RunParallelWithoutThreads, DoesAllInTheCallingThread) {
  EXPECT_EQ(alone([] {
              Counts counts(100);
              const auto caller = std::this_thread::get_id();
              bool here = true;
              run_parallel(4, counts.size(),
                           [&]() -> Work {
                             return [&](std::uint64_t task) {
                               ++counts.at(task);
                               here = here && caller == std::this_thread::get_id();
                             };
                           },
                           {});
              for (const auto& count : counts)
                if (count != 1) return 1;
              return here ? 0 : 2;
            }),
            0);
}

TEST(RunParallelWithoutThreads, TicksBetweenTasks) {
  EXPECT_EQ(alone([] {
              int ticks = 0;
              run_parallel(
                  4, 3,
                  []() -> Work {
                    return [](std::uint64_t) { std::this_thread::sleep_for(std::chrono::milliseconds(120)); };
                  },
                  [&] { ++ticks; });
              return ticks >= 2 ? 0 : 1;
            }),
            0);
}

TEST(RunParallelWithoutThreads, ThrowsWhatATaskThrewAndStops) {
  EXPECT_EQ(alone([] {
              std::uint64_t last = 0;
              try {
                run_parallel(4, 10,
                             [&]() -> Work {
                               return [&](std::uint64_t task) {
                                 last = task;
                                 if (task == 2) throw std::domain_error("the third");
                               };
                             },
                             {});
              } catch (const std::domain_error&) {
                return last == 2 ? 0 : 1;
              }
              return 2;
            }),
            0);
}

TEST(DefaultThreads, AreOneOrMore) { EXPECT_GE(default_threads(), 1U); }

}  // namespace
}  // namespace qpcseal
