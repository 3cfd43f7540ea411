// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <thread>

#include "base/error.h"
#include "base/file_name.h"
#include "base/retry.h"

namespace qpcseal::audit {

namespace {

constexpr std::chrono::milliseconds kPause{50};
constexpr std::size_t kMaxContent = 32;  // bytes; the number of a process and a line feed

Fd open_lock(const std::filesystem::path& file) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  Fd fd(retry_interrupted([&] { return open(file.c_str(), kFlags, 0600); }));
  if (!fd && errno == ELOOP)
    throw Error(ErrorKind::Io, file.string() + " is a symbolic link, and no lock of qpcseal's");
  if (!fd) throw_errno(file.string());
  return fd;
}

std::string content_of(const Fd& fd) {
  std::array<char, kMaxContent + 1> text{};
  const ssize_t got = retry_interrupted([&] { return pread(fd.get(), text.data(), text.size(), 0); });
  return {text.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
}

void check_ours(const Fd& fd, const std::filesystem::path& file) {
  struct stat status{};
  if (fstat(fd.get(), &status) != 0) throw_errno(file.string());
  const bool plain = S_ISREG(status.st_mode) && status.st_size <= static_cast<off_t>(kMaxContent);
  const std::string content = plain ? content_of(fd) : "";
  if (plain && content.find_first_not_of("0123456789\n") == std::string::npos) return;
  throw Error(ErrorKind::Io, file.string() + " is no lock of qpcseal's, and is left as it is",
              "move it away, if nothing else needs it");
}

bool has_name(const Fd& fd, const std::filesystem::path& file) {
  struct stat held{}, named{};
  return fstat(fd.get(), &held) == 0 && lstat(file.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
}

bool try_lock(const Fd& fd, const std::filesystem::path& file) {
  if (retry_interrupted([&] { return flock(fd.get(), LOCK_EX | LOCK_NB); }) == 0) return true;
  if (errno != EWOULDBLOCK) throw_errno(file.string());
  return false;
}

// Nothing for a folder that others may open, and so lock.
Fd open_folder(const std::filesystem::path& file) {
  const std::filesystem::path dir = parent_dir(file);
  Fd fd(retry_interrupted([&] { return open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  struct stat status{};
  if (!fd || fstat(fd.get(), &status) != 0 || status.st_uid != geteuid() || (status.st_mode & 077U) != 0)
    return {};
  return fd;
}

// Some network file systems lock no folders: there the file's lock must do.
bool try_folder(const Fd& dir) {
  return !dir || retry_interrupted([&] { return flock(dir.get(), LOCK_EX | LOCK_NB); }) == 0 ||
         errno != EWOULDBLOCK;
}

std::string holder_of(const Fd& fd) {
  std::string pid = content_of(fd);
  pid.resize(std::min(pid.find_first_not_of("0123456789"), pid.size()));
  return pid.empty() ? "process unknown" : "process " + pid;
}

// Only for the message to others: on a full disk the lock is a lock all the same.
void write_holder(const Fd& fd) noexcept {
  try {
    const std::string pid = std::to_string(getpid()) + "\n";
    if (retry_interrupted([&] { return ftruncate(fd.get(), 0); }) == 0) write_exact(fd, view(pid), 0);
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): see above
  }
}

}  // namespace

Lock::Lock(const std::filesystem::path& file, unsigned timeout_seconds,
           const std::function<void(const std::string&)>& on_wait) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(timeout_seconds);
  bool told = false;
  while (true) {
    if (!fd_ || !has_name(fd_, file)) {
      fd_ = open_lock(file);
      check_ours(fd_, file);
    }
    if (!folder_) folder_ = open_folder(file);
    if (try_lock(fd_, file) && has_name(fd_, file) && try_folder(folder_)) break;
    if (!has_name(fd_, file)) continue;
    if (std::chrono::steady_clock::now() >= end)
      throw Error(ErrorKind::Io, file.string() + ": another qpcseal holds the lock (" + holder_of(fd_) + ")",
                  "--lock-timeout SECONDS waits longer")
          .with_code("lock-busy");
    if (!told && on_wait) on_wait(holder_of(fd_));
    told = true;
    std::this_thread::sleep_for(kPause);
  }
  write_holder(fd_);
}

std::optional<Lock> lock_to_read(const std::filesystem::path& file, unsigned timeout_seconds,
                                 const std::function<void(const std::string&)>& on_wait) {
  const std::filesystem::path dir = parent_dir(file);
  if (access(dir.c_str(), W_OK) != 0 && (errno == EROFS || errno == EACCES)) return std::nullopt;
  return std::optional<Lock>(std::in_place, file, timeout_seconds, on_wait);
}

}  // namespace qpcseal::audit
