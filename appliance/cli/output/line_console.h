// SPDX-License-Identifier: Apache-2.0
// A ceremony's console on standard error and standard input: a terminal, a serial line, or a script. Plain
// lines, no colour, no cursor movement.
#pragma once

#include "appliance/ceremony/console.h"

namespace qpcseal::cli {

class LineConsole final : public ceremony::Console {
 public:
  void say(const std::string& text) override;
  std::string ask(const std::string& prompt) override;
};

// For a rehearsal without people: says the same, and answers itself.
class NonInteractiveConsole final : public ceremony::Console {
 public:
  void say(const std::string& text) override;
  std::string ask(const std::string& prompt) override;
};

}  // namespace qpcseal::cli
