// SPDX-License-Identifier: Apache-2.0
// What signals do while something is under way.
#pragma once

#include <csignal>
#include <initializer_list>
#include <utility>
#include <vector>

namespace qpcseal {

// `handler` for these signals, as sigaction(2) with `flags`, until the end of its life. Signals that are
// ignored stay so (nohup).
class SignalHandlers {
 public:
  SignalHandlers(std::initializer_list<int> signals, void (*handler)(int), int flags);
  ~SignalHandlers();
  SignalHandlers(const SignalHandlers&) = delete;
  SignalHandlers& operator=(const SignalHandlers&) = delete;

 private:
  std::vector<std::pair<int, struct sigaction>> before_;
};

}  // namespace qpcseal
