#include "appliance/audit/lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

#include "base/error.h"

namespace qpcseal::audit {

namespace {

constexpr std::chrono::milliseconds kPause{50};

bool try_lock(const Fd& fd, const std::filesystem::path& file) {
  if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return true;
  if (errno != EWOULDBLOCK && errno != EINTR) throw_errno(file.string());
  return false;
}

std::string holder_of(const Fd& fd) {
  std::array<char, 32> text{};
  const ssize_t got = pread(fd.get(), text.data(), text.size() - 1, 0);
  std::string pid(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  pid.resize(std::min(pid.find_first_not_of("0123456789"), pid.size()));
  return pid.empty() ? "process unknown" : "process " + pid;
}

void write_holder(const Fd& fd, const std::filesystem::path& file) {
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(fd.get(), 0) != 0) throw_errno(file.string());
  write_exact(fd, view(pid), 0);
}

}  // namespace

Lock::Lock(const std::filesystem::path& file, unsigned timeout_seconds,
           const std::function<void(const std::string&)>& on_wait)
    : fd_(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) {
  if (!fd_) throw_errno(file.string());
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(timeout_seconds);
  bool told = false;
  while (!try_lock(fd_, file)) {
    if (std::chrono::steady_clock::now() >= end)
      throw Error(ErrorKind::Io, file.string() + ": another qpcseal holds the lock (" + holder_of(fd_) + ")",
                  "--lock-timeout SECONDS waits longer");
    if (!told && on_wait) on_wait(holder_of(fd_));
    told = true;
    std::this_thread::sleep_for(kPause);
  }
  write_holder(fd_, file);
}

}  // namespace qpcseal::audit
