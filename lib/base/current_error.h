// SPDX-License-Identifier: Apache-2.0
// Any exception as an Error.
#pragma once

#include "base/error.h"

namespace qpcseal {

// The exception that is being handled: an Error as it is, the file system's as Error{Io}, any other as
// Error{Internal}. Only within a catch block.
Error current_error() noexcept;

}  // namespace qpcseal
