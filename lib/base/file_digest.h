// SPDX-License-Identifier: Apache-2.0
// SHA-256 of a file's content, read in pieces.
#pragma once

#include "base/digest.h"
#include "base/fd.h"

namespace qpcseal {

// Of its first `size` bytes; of all that it holds. Error{Io}, also where it is shorter.
Sha256Digest file_digest(const Fd& file, std::uint64_t size);
Sha256Digest file_digest(const Fd& file);

// By what one sees that a file was written to: its identity, size and times (calls fstat). Two marks are
// equal where nobody changed it meanwhile.
struct FileMark {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t changed = 0, status_changed = 0;  // nanoseconds
  bool operator==(const FileMark&) const = default;
};
FileMark file_mark(const Fd& file);

}  // namespace qpcseal
