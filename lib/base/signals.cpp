// SPDX-License-Identifier: Apache-2.0
#include "base/signals.h"

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

}  // namespace qpcseal
