// SPDX-License-Identifier: Apache-2.0
// Stands between the library and a few system calls: writes down what was called, and fails where a test says
// so. The definitions in syscall_spy.cpp take the place of the C library's in this program.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace qpcseal::testing {

// One call that changed a file, or made sure of it.
struct FileCall {
  // "pwrite", "ftruncate", "fdatasync", "fsync", "rename", "renameat2", "link", "linkat", "unlink"; for
  // fail_quiet "open", "open unnamed" (O_TMPFILE), "fchmod", "flock"
  std::string call;
  std::string file;  // path
  std::string to;    // path; renames and links only
};

struct SyscallSpy {
  std::vector<std::string> calls;  // "fsync file", "fsync folder", "renameat2", "rename", "link", "linkat"
  int fail_fsync = 0;              // errno for every fsync of a file
  int fail_renameat2 = 0;          // errno for renameat2
  std::function<int(const FileCall&)> fail;        // errno for a call that is to fail, or 0
  std::function<int(const FileCall&)> fail_quiet;  // the same for calls that change no file's content or name
  std::function<void(const FileCall&)> after;      // told of each call that was made and did not fail
  // A region to look at when it is unmapped.
  const void* watched = nullptr;
  bool unmapped = false, was_zero = false;
};

// The one in force; a test takes it with SpyScope.
SyscallSpy*& spy();

class SpyScope {
 public:
  SpyScope() { spy() = &spy_; }
  ~SpyScope() { spy() = nullptr; }
  SpyScope(const SpyScope&) = delete;
  SpyScope& operator=(const SpyScope&) = delete;
  SyscallSpy* operator->() { return &spy_; }

 private:
  SyscallSpy spy_;
};

}  // namespace qpcseal::testing
