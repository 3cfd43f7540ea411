// SPDX-License-Identifier: Apache-2.0
// Where a ceremony speaks to people. A terminal, a serial line, or a script: lines out, lines in.
#pragma once

#include <string>

namespace qpcseal::ceremony {

class Console {
 public:
  virtual ~Console() = default;
  virtual void say(const std::string& text) = 0;  // whole lines
  // One line, without its end. Error{Usage} where people stop: "stop", or the end of the input. Nothing is
  // lost: the log knows how far it went.
  virtual std::string ask(const std::string& prompt) = 0;
};

}  // namespace qpcseal::ceremony
