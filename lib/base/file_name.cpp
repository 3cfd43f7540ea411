// SPDX-License-Identifier: Apache-2.0
#include "base/file_name.h"
#include "base/program.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/retry.h"

namespace qpcseal {

namespace {

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISFIFO(mode)) return "a named pipe";
  return "a device or a socket";
}

void rename_over(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (retry_interrupted([&] { return rename(from.c_str(), to.c_str()); }) != 0) throw_errno(to.string());
}

// Holds off other processes of ours for the moment of a rename. Not for ever: the folder may be a home, which
// its own command has locked.
Fd lock_folder(const std::filesystem::path& dir) {
  constexpr int kTries = 10;
  Fd fd(retry_interrupted([&] { return open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  for (int i = 0; fd && i < kTries && flock(fd.get(), LOCK_EX | LOCK_NB) != 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return fd;
}

// For a medium that can neither link nor rename without replacing.
void look_and_rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  const Fd held = lock_folder(parent_dir(to));
  check_name(to, Existing::Refuse);
  rename_over(from, to);
}

}  // namespace

std::filesystem::path parent_dir(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

bool is_name_taken(const std::filesystem::path& path) {
  struct stat status{};
  if (lstat(path.c_str(), &status) == 0) return true;
  if (errno != ENOENT && errno != ENOTDIR) throw_errno(path.string());
  return false;
}

Error exists_error(const std::filesystem::path& path) {
  return Error(ErrorKind::Io, path.string() + " exists", "name another output, or replace it with --force")
      .with_code("output-exists");
}

bool medium_cannot(int code) {
  return code == EPERM || code == ENOSYS || code == EOPNOTSUPP || code == EINVAL;
}

void check_name(const std::filesystem::path& path, Existing existing) {
  struct stat status{};
  if (lstat(path.c_str(), &status) != 0) {
    if (errno != ENOENT) throw_errno(path.string());  // such as a name too long
    return;
  }
  if (existing == Existing::Refuse) throw exists_error(path);
  if (!S_ISREG(status.st_mode))
    throw Error(ErrorKind::Io,
                path.string() + " is " + kind_of(status.st_mode) + ", and only files are replaced")
        .with_code("output-not-a-file");
}

unsigned masked(unsigned mode) { return mode & ~(umask_of_user() & 077U); }

void set_mode(const Fd& fd, unsigned mode, const std::filesystem::path& what) {
  if (retry_interrupted([&] { return fchmod(fd.get(), masked(mode)); }) != 0 && !medium_cannot(errno))
    throw_errno(what.string());
}

void publish(const std::filesystem::path& from, const std::filesystem::path& to, Existing existing) {
  if (existing == Existing::Replace) {
    check_name(to, existing);
    return rename_over(from, to);
  }
  const int renamed = retry_interrupted(
      [&] { return renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE); });
  if (renamed == 0) return;
  if (errno == EEXIST) throw exists_error(to);
  if (!medium_cannot(errno)) throw_errno(to.string());
  if (retry_interrupted([&] { return link(from.c_str(), to.c_str()); }) != 0) {
    if (errno == EEXIST) throw exists_error(to);
    if (!medium_cannot(errno)) throw_errno(to.string());
    return look_and_rename(from, to);
  }
  unlink(from.c_str());
}

}  // namespace qpcseal
