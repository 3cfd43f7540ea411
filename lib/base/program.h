// SPDX-License-Identifier: Apache-2.0
// What the main function of each program needs.
#pragma once

#include <exception>

#include "base/error.h"

namespace qpcseal {

// From now on a pipe that nobody reads (SIGPIPE) and a limit on the size of files (SIGXFSZ) are errors of the
// write that meets them. By default they end the process in the middle of an act, without a word.
void make_write_signals_errors();

// Any exception as what it is to the user: an Error as it is, files and memory as Error{Io}, all else as
// Error{Internal}.
Error as_error(const std::exception& error);

}  // namespace qpcseal
