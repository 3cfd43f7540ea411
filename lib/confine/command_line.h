// SPDX-License-Identifier: Apache-2.0
// bubblewrap's command line for a job; for sandbox.cpp alone.
#pragma once

#include <string>
#include <vector>

#include "confine/job.h"

namespace qpcseal::confine {

// Descriptors that bubblewrap reads and writes beside the job's own.
struct Channels {
  std::vector<int> files;  // of Job::files, in their order
  int secret = -1;         // -1: none
  int status = -1;         // --json-status-fd
  int start = -1;          // --block-fd: the program starts when a byte comes
  int filter = -1;         // --seccomp: the program's system calls
};

std::vector<std::string> bubblewrap_command(const Job& job, const Channels& channels);

}  // namespace qpcseal::confine
