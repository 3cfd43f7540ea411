// SPDX-License-Identifier: Apache-2.0
// A ceremony's console on standard error and standard input: a terminal, a serial line, or a script. Plain
// lines, no colour, no cursor movement.
#pragma once

#include "appliance/ceremony/console.h"
#include "base/signals.h"

namespace qpcseal::cli {

// While one lives, Ctrl-C, SIGTERM and a lost terminal stop the ceremony at its next prompt, so that the log
// says why; a second signal ends the program at once.
class LineConsole final : public ceremony::Console {
 public:
  LineConsole();
  void say(const std::string& text) override;
  std::string ask(const std::string& prompt) override;

 private:
  SignalHandlers signals_;
};

// For a rehearsal without people: says the same, and answers itself.
class NonInteractiveConsole final : public ceremony::Console {
 public:
  void say(const std::string& text) override;
  std::string ask(const std::string& prompt) override;
};

}  // namespace qpcseal::cli
