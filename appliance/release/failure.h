// What the log is told when an act fails.
#pragma once

#include <utility>

namespace qpcseal::release {

// Runs `tell`, which logs a failure while another error is on its way up. An error of `tell` is dropped,
// whatever its type: token or log broke, and the first error names the cause. The intent stays open, and the
// next start closes it.
template <typename Tell>
void log_failure(Tell&& tell) noexcept {
  try {
    std::forward<Tell>(tell)();
  } catch (...) {  // NOLINT(bugprone-empty-catch)
  }
}

}  // namespace qpcseal::release
