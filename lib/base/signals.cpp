// SPDX-License-Identifier: Apache-2.0
#include "base/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/retry.h"

namespace qpcseal {

SignalHandlers::SignalHandlers(std::initializer_list<int> signals, void (*handler)(int), int flags) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = flags;
  for (const int signal : signals) {
    struct sigaction before{};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler == SIG_IGN) continue;
    before_.emplace_back(signal, before);
    sigaction(signal, &action, nullptr);
  }
}

SignalHandlers::~SignalHandlers() {
  for (const auto& [signal, before] : before_) sigaction(signal, &before, nullptr);
}

SignalInput::SignalInput(int signal) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, signal);
  input_ = Fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!input_) throw_errno("signalfd");
  sigprocmask(SIG_BLOCK, &signals, &before_);
}

SignalInput::~SignalInput() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

void SignalInput::take() const {
  signalfd_siginfo came{};
  while (retry_interrupted([&] { return read(input_.get(), &came, sizeof came); }) > 0) {
  }
}

}  // namespace qpcseal
