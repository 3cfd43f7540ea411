// Stands between the library and a few system calls: writes down what was called, and fails where a test says
// so. The definitions in syscall_spy.cpp take the place of the C library's in this program.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace qpcseal::testing {

struct SyscallSpy {
  std::vector<std::string> calls;  // "fsync file", "fsync folder", "renameat2", "rename", "link"
  int fail_fsync = 0;              // errno for every fsync of a file
  int fail_renameat2 = 0;          // errno for renameat2
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
