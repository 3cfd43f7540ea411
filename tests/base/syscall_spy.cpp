// SPDX-License-Identifier: Apache-2.0
#include "tests/base/syscall_spy.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdarg>
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

std::string path_of(int fd) {
  if (spy() == nullptr) return {};
  std::array<char, PATH_MAX> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = readlink(link.c_str(), path.data(), path.size());
  return {path.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}
// Makes the call, unless the spy says that it fails, and tells the spy. errno stays as the call left it.
template <typename Make>
auto spied(const char* call, const std::string& file, const std::string& to, Make make) -> decltype(make()) {
  if (spy() == nullptr) return make();
  if (const int code = spy()->fail ? spy()->fail({call, file, to}) : 0; code != 0) return fail(code);
  const auto result = make();
  const int code = errno;
  if (result >= 0 && spy()->after) spy()->after({call, file, to});
  errno = code;
  return result;
}
// Only asks the spy whether the call fails.
template <typename Make>
int quiet(const char* call, const std::string& file, Make make) {
  if (spy() != nullptr && spy()->fail_quiet)
    if (const int code = spy()->fail_quiet({call, file, {}}); code != 0) return fail(code);
  return make();
}
}  // namespace

}  // namespace qpcseal::testing

using qpcseal::testing::path_of;
using qpcseal::testing::quiet;
using qpcseal::testing::spied;
using qpcseal::testing::spy;

extern "C" {

int open(const char* path, int flags, ...) {
  const bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;
  mode_t mode = 0;
  if (unnamed || (flags & O_CREAT) != 0) {
    va_list more;
    va_start(more, flags);
    mode = va_arg(more, mode_t);
    va_end(more);
  }
  return quiet(unnamed ? "open unnamed" : "open", path,
               [&] { return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode)); });
}

int fchmod(int fd, mode_t mode) noexcept {
  return quiet("fchmod", path_of(fd), [&] { return static_cast<int>(syscall(SYS_fchmod, fd, mode)); });
}

int flock(int fd, int operation) noexcept {
  return quiet("flock", path_of(fd), [&] { return static_cast<int>(syscall(SYS_flock, fd, operation)); });
}

int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  qpcseal::testing::note("linkat");
  return spied("linkat", from, to, [&] {
    return static_cast<int>(syscall(SYS_linkat, from_folder, from, to_folder, to, flags));
  });
}

int fsync(int fd) {
  const bool folder = qpcseal::testing::is_folder(fd);
  qpcseal::testing::note(folder ? "fsync folder" : "fsync file");
  if (!folder && spy() != nullptr && spy()->fail_fsync != 0) return qpcseal::testing::fail(spy()->fail_fsync);
  return spied("fsync", path_of(fd), {}, [&] { return static_cast<int>(syscall(SYS_fsync, fd)); });
}

int fdatasync(int fd) {
  return spied("fdatasync", path_of(fd), {}, [&] { return static_cast<int>(syscall(SYS_fdatasync, fd)); });
}

ssize_t pwrite(int fd, const void* bytes, std::size_t size, off_t offset) {
  return spied("pwrite", path_of(fd), {},
               [&] { return static_cast<ssize_t>(syscall(SYS_pwrite64, fd, bytes, size, offset)); });
}

int ftruncate(int fd, off_t size) noexcept {
  return spied("ftruncate", path_of(fd), {},
               [&] { return static_cast<int>(syscall(SYS_ftruncate, fd, size)); });
}

int unlink(const char* path) noexcept {
  return spied("unlink", path, {},
               [&] { return static_cast<int>(syscall(SYS_unlinkat, AT_FDCWD, path, 0)); });
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  qpcseal::testing::note("renameat2");
  if (spy() != nullptr && spy()->fail_renameat2 != 0) return qpcseal::testing::fail(spy()->fail_renameat2);
  return spied("renameat2", from, to, [&] {
    return static_cast<int>(syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
  });
}

int rename(const char* from, const char* to) noexcept {
  qpcseal::testing::note("rename");
  return spied("rename", from, to,
               [&] { return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0U)); });
}

int link(const char* from, const char* to) noexcept {
  qpcseal::testing::note("link");
  return spied("link", from, to,
               [&] { return static_cast<int>(syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0)); });
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
