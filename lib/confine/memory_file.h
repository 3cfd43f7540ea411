// SPDX-License-Identifier: Apache-2.0
// Files that are in memory alone.
#pragma once

#include "base/bytes.h"
#include "base/file.h"

namespace qpcseal::confine {

// A memfd with these bytes, sealed against every change (F_SEAL_WRITE). Error{Io}.
Fd memory_file(ByteView bytes);

}  // namespace qpcseal::confine
