// SPDX-License-Identifier: Apache-2.0
// What the commands of qpcseal-device share: each registers its options with CLI11 and, once it is the one
// chosen, leaves the work to do in `command`.
#pragma once

#include <functional>

#include "base/print.h"

namespace qpcseal::device {

struct Context {
  std::function<int()> command;  // returns the exit code; throws Error
};

}  // namespace qpcseal::device
