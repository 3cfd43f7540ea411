// SPDX-License-Identifier: Apache-2.0
#include "base/parallel.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace qpcseal {

namespace {

constexpr std::chrono::milliseconds kTick{100};
constexpr unsigned kMaxThreads = 64;

struct Crew {
  std::atomic<std::uint64_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::condition_variable done;
  unsigned running = 0;
  std::exception_ptr failure;

  void work(std::uint64_t count, const std::function<Work()>& make_worker) {
    try {
      const Work work = make_worker();
      while (!stop) {
        const std::uint64_t task = next.fetch_add(1);
        if (task >= count) break;
        work(task);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
      stop = true;
    }
    const std::lock_guard lock(mutex);
    --running;
    done.notify_all();
  }
};

// In the calling thread, where the system allows no other.
void run_here(std::uint64_t count, const std::function<Work()>& make_worker,
              const std::function<void()>& tick) {
  const Work work = make_worker();
  auto next_tick = std::chrono::steady_clock::now() + kTick;
  for (std::uint64_t task = 0; task < count; ++task) {
    work(task);
    if (!tick || std::chrono::steady_clock::now() < next_tick) continue;
    tick();
    next_tick = std::chrono::steady_clock::now() + kTick;
  }
}

}  // namespace

unsigned default_threads() { return std::clamp(std::thread::hardware_concurrency(), 1U, kMaxThreads); }

void run_parallel(unsigned threads, std::uint64_t count, const std::function<Work()>& make_worker,
                  const std::function<void()>& tick) {
  const auto wanted =
      static_cast<unsigned>(std::min<std::uint64_t>(threads == 0 ? default_threads() : threads, count));
  Crew crew;
  crew.running = wanted;
  std::vector<std::jthread> members;
  members.reserve(wanted);
  for (unsigned i = 0; i < wanted; ++i) {
    try {
      members.emplace_back([&] { crew.work(count, make_worker); });
    } catch (const std::system_error&) {  // a limit on threads: those that there are do it all
      const std::lock_guard lock(crew.mutex);
      crew.running -= wanted - i;
      break;
    }
  }
  if (members.empty() && wanted > 0) return run_here(count, make_worker, tick);
  {
    std::unique_lock lock(crew.mutex);
    while (!crew.done.wait_for(lock, kTick, [&] { return crew.running == 0; })) {
      if (!tick) continue;
      lock.unlock();
      try {
        tick();
      } catch (...) {
        crew.stop = true;  // the members are waited for on the way out
        throw;
      }
      lock.lock();
    }
  }
  members.clear();
  if (crew.failure) std::rethrow_exception(crew.failure);
}

}  // namespace qpcseal
