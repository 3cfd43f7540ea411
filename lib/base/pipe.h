// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.h"
#include "base/fd.h"

namespace qpcseal {

// Both ends of a pipe, closed by exec. Error{Io}.
struct Pipe {
  Pipe();
  Fd read, write;
};

// The reading end of a pipe that holds these bytes; the other end is closed. Error{Io} where they do not fit.
Fd pipe_with(ByteView bytes);

}  // namespace qpcseal
