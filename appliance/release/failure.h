// What the log is told when an act fails.
#pragma once

#include "base/error.h"

namespace qpcseal::release {

// Runs `tell`, which logs a failure. Where that fails too, the token or the log is what broke, and the error
// that is on its way up already names it: the intent stays open, and the next run reconciles it.
template <typename Tell>
void log_failure(Tell&& tell) {
  try {
    tell();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Internal) throw;
  }
}

}  // namespace qpcseal::release
