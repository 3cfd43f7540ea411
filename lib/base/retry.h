// SPDX-License-Identifier: Apache-2.0
// System calls that a signal may interrupt.
#pragma once

#include <cerrno>

namespace qpcseal {

// Makes the call again while it fails with EINTR; the last result comes back, with errno as the call left it.
// Not for close(2): on Linux the descriptor is gone after EINTR.
template <typename Call>
auto retry_interrupted(Call&& call) -> decltype(call()) {
  while (true) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

}  // namespace qpcseal
