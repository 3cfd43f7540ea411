// SPDX-License-Identifier: Apache-2.0
// The console of a ceremony: lines out, lines in. A terminal, a serial line, or a script.
#pragma once

#include <string>

namespace qpcseal::ceremony {

class Console {
 public:
  virtual ~Console() = default;
  virtual void say(const std::string& text) = 0;  // whole lines
  // One line, without its end. Error{Usage} where people stop: "stop", or the end of the input;
  // Error{Interrupted} after a signal. The log knows how far the ceremony went.
  virtual std::string ask(const std::string& prompt) = 0;
};

}  // namespace qpcseal::ceremony
