// SPDX-License-Identifier: Apache-2.0
// Runs numbered tasks on several threads.
#pragma once

#include <cstdint>
#include <functional>

namespace qpcseal {

// Each worker thread makes its own `Work` by `make_worker` and then takes task numbers from 0 to count - 1 in
// order, each once. The first exception stops all and is thrown here. `tick` runs in the calling thread about
// every 100 ms, and stops all when it throws. Where the system allows fewer threads, those do all; where it
// allows none, the calling thread does, and `tick` runs between tasks.
using Work = std::function<void(std::uint64_t task)>;
void run_parallel(unsigned threads, std::uint64_t count, const std::function<Work()>& make_worker,
                  const std::function<void()>& tick);

unsigned default_threads();

}  // namespace qpcseal
