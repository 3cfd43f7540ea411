// SPDX-License-Identifier: Apache-2.0
// From fork to bubblewrap; for sandbox.cpp alone.
#pragma once

#include <array>
#include <vector>

#include "confine/job.h"

namespace qpcseal::confine {

struct Launch {
  std::vector<char*> words;     // the command line, ended by a null pointer
  std::vector<int> keep;        // descriptors that it inherits beside the standard ones
  std::array<int, 3> standard;  // standard input, output and error
  Limits limits;
  Bytes filter;  // of system calls, of bubblewrap and all that it starts (process::encode_filter)

  // In the child, right after fork: other threads may have been anywhere, so it makes only calls that are
  // safe there. Becomes bubblewrap, or ends with exit status 127.
  [[noreturn]] void become() const;
};

}  // namespace qpcseal::confine
