// What the commands of qpcseal-device share: each registers its options with CLI11 and, once it is the one
// chosen, leaves the work to do in `command`.
#pragma once

#include <functional>
#include <string_view>

namespace qpcseal::device {

struct Context {
  std::function<int()> command;  // returns the exit code; throws Error
};

// Standard output, all of it, or Error{Io}.
void print(std::string_view text);

}  // namespace qpcseal::device
