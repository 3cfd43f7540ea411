// SPDX-License-Identifier: Apache-2.0
#include "base/temporary.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/file_name.h"
#include "base/random.h"
#include "base/remove_tree.h"
#include "base/retry.h"

namespace qpcseal {

namespace {

constexpr std::string_view kMark = ".tmp-qpcseal-";
constexpr std::size_t kDigits = 12;        // of the random part
constexpr std::size_t kMaxKeptName = 200;  // bytes of NAME that are kept: a name has at most 255
constexpr int kTries = 16;                 // new names, where another process takes ours for a leftover

// `name` without what lies beyond kMaxKeptName, and without half a UTF-8 character at its end.
std::string shortened(std::string name) {
  if (name.size() <= kMaxKeptName) return name;
  std::size_t end = kMaxKeptName;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0U) == 0x80U) --end;
  name.resize(end);
  return name;
}

std::filesystem::path temporary_name(const std::filesystem::path& dir, const std::string& name) {
  SystemRandom random;
  return dir / ("." + shortened(name) + std::string(kMark) + to_hex(random.bytes(kDigits / 2)));
}

// False: somebody takes the file for a leftover. A medium without locks holds nothing, for anybody.
bool hold(const Fd& fd) {
  return retry_interrupted([&] { return flock(fd.get(), LOCK_EX | LOCK_NB); }) == 0 || errno != EWOULDBLOCK;
}

bool is_named(const Fd& fd, const std::filesystem::path& name) {
  struct stat open_file{}, named{};
  return fstat(fd.get(), &open_file) == 0 && lstat(name.c_str(), &named) == 0 &&
         open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

void remove_unheld(const std::filesystem::path& name) {
  const Fd fd(
      retry_interrupted([&] { return open(name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK); }));
  struct stat status{};
  if (!fd || fstat(fd.get(), &status) != 0 || (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))) return;
  if (retry_interrupted([&] { return flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0 || !is_named(fd, name))
    return;
  if (S_ISDIR(status.st_mode)) {
    remove_tree(name);
  } else {
    unlink(name.c_str());
  }
}

}  // namespace

bool is_temporary_name(std::string_view name) {
  if (name.size() < 1 + kMark.size() + kDigits || !name.starts_with('.')) return false;
  const std::string_view digits = name.substr(name.size() - kDigits);
  return name.substr(0, name.size() - kDigits).ends_with(kMark) &&
         std::ranges::all_of(digits, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

TemporaryFile create_temporary(const std::filesystem::path& final_name, unsigned mode) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  for (int i = 0; i < kTries; ++i) {
    TemporaryFile out;
    out.name = temporary_name(parent_dir(final_name), final_name.filename().string());
    out.fd = Fd(retry_interrupted([&] { return open(out.name.c_str(), kFlags, 0600); }));
    if (!out.fd) throw_errno(final_name.string());
    if (!hold(out.fd) || !is_named(out.fd, out.name)) continue;
    try {
      set_mode(out.fd, mode, final_name);
    } catch (const Error&) {
      unlink(out.name.c_str());
      throw;
    }
    return out;
  }
  throw Error(ErrorKind::Io, final_name.string() + ": another process removes our temporary files");
}

TemporaryFile create_temporary_folder(const std::filesystem::path& parent) {
  for (int i = 0; i < kTries; ++i) {
    TemporaryFile out;
    out.name = temporary_name(parent, "files");
    if (mkdir(out.name.c_str(), 0700) != 0) throw_errno(parent.string());
    out.fd = Fd(retry_interrupted(
        [&] { return open(out.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); }));
    if (!out.fd && errno != ENOENT) {
      const int code = errno;
      rmdir(out.name.c_str());
      errno = code;
      throw_errno(parent.string());
    }
    if (out.fd && hold(out.fd) && is_named(out.fd, out.name)) return out;
  }
  throw Error(ErrorKind::Io, parent.string() + ": another process removes our temporary files");
}

void remove_leftovers(const std::filesystem::path& dir) noexcept {
  try {
    std::vector<std::filesystem::path> found;
    for (const auto& item : std::filesystem::directory_iterator(dir))
      if (is_temporary_name(item.path().filename().string())) found.push_back(item.path());
    for (const auto& name : found) remove_unheld(name);
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): see the header
  }
}

void remove_leftovers_once(const std::filesystem::path& dir) noexcept {
  static std::mutex mutex;
  static std::set<std::filesystem::path> seen;
  try {
    const std::scoped_lock lock(mutex);
    if (!seen.insert(std::filesystem::absolute(dir)).second) return;
  } catch (const std::exception&) {
    return;
  }
  remove_leftovers(dir);
}

}  // namespace qpcseal
