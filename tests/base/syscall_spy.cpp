#include "tests/base/syscall_spy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace qpcseal::testing {

SyscallSpy*& spy() {
  static SyscallSpy* active = nullptr;
  return active;
}

namespace {
void note(const char* call) {
  if (spy() != nullptr) spy()->calls.emplace_back(call);
}
bool is_folder(int fd) {
  struct stat status{};
  return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}
int fail(int code) {
  errno = code;
  return -1;
}
}  // namespace

}  // namespace qpcseal::testing

using qpcseal::testing::spy;

extern "C" {

int fsync(int fd) {
  const bool folder = qpcseal::testing::is_folder(fd);
  qpcseal::testing::note(folder ? "fsync folder" : "fsync file");
  if (!folder && spy() != nullptr && spy()->fail_fsync != 0) return qpcseal::testing::fail(spy()->fail_fsync);
  return static_cast<int>(syscall(SYS_fsync, fd));
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  qpcseal::testing::note("renameat2");
  if (spy() != nullptr && spy()->fail_renameat2 != 0) return qpcseal::testing::fail(spy()->fail_renameat2);
  return static_cast<int>(syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}

int rename(const char* from, const char* to) noexcept {
  qpcseal::testing::note("rename");
  return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0U));
}

int link(const char* from, const char* to) noexcept {
  qpcseal::testing::note("link");
  return static_cast<int>(syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // these have a munmap of their own
int munmap(void* memory, std::size_t size) noexcept {
  if (spy() != nullptr && spy()->watched == memory && memory != nullptr) {
    const auto* bytes = static_cast<const std::uint8_t*>(memory);
    spy()->unmapped = true;
    spy()->was_zero = std::all_of(bytes, bytes + size, [](std::uint8_t byte) { return byte == 0; });
  }
  return static_cast<int>(syscall(SYS_munmap, memory, size));
}
#endif

}  // extern "C"
