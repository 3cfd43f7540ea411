// SPDX-License-Identifier: Apache-2.0
// What signals do while something is under way.
#pragma once

#include <csignal>
#include <initializer_list>
#include <utility>
#include <vector>

#include "base/fd.h"

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

// A signal that comes as input of a descriptor, and interrupts nothing, until the end of its life. For a
// thread alone in its process. Error{Io}.
class SignalInput {
 public:
  explicit SignalInput(int signal);
  ~SignalInput();
  SignalInput(const SignalInput&) = delete;
  SignalInput& operator=(const SignalInput&) = delete;

  // To wait for, by poll(2).
  [[nodiscard]] int descriptor() const { return input_.get(); }
  // Takes what has come; the signal may come again.
  void take() const;

 private:
  sigset_t before_{};
  Fd input_;
};

}  // namespace qpcseal
