// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/error.h"
#include "base/file_name.h"
#include "base/print.h"
#include "base/retry.h"
#include "base/temporary.h"

namespace qpcseal {

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;  // bytes copied at once

std::string name_in_proc(const Fd& fd) { return "/proc/self/fd/" + std::to_string(fd.get()); }

// A file without a name, or nothing where there can be none that gets one later.
Fd open_unnamed(const std::filesystem::path& dir) {
  Fd fd(retry_interrupted([&] { return open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); }));
  if (fd && access(name_in_proc(fd).c_str(), F_OK) != 0) return {};
  return fd;
}

// False where the file system has files without names, and no links.
bool link_unnamed(const Fd& fd, const std::filesystem::path& name) {
  const std::string unnamed = name_in_proc(fd);
  const int linked = retry_interrupted(
      [&] { return linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW); });
  if (linked == 0) return true;
  if (errno == EEXIST) throw exists_error(name);
  if (!medium_cannot(errno)) throw_errno(name.string());
  return false;
}

// The same content, on disk, under a temporary name.
TemporaryFile named_copy(const Fd& from, const std::filesystem::path& name) {
  struct stat status{};
  if (fstat(from.get(), &status) != 0) throw_errno(name.string());
  TemporaryFile out = create_temporary(name, status.st_mode & 07777U);
  try {
    Bytes piece;
    const auto size = static_cast<std::uint64_t>(status.st_size);
    for (std::uint64_t at = 0; at < size; at += piece.size()) {
      piece.resize(size - at < kPiece ? size - at : kPiece);
      read_exact(from, piece, at);
      write_exact(out.fd, piece, at);
    }
    sync_file(out.fd, name);
  } catch (const Error&) {
    unlink(out.name.c_str());
    throw;
  }
  return out;
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path final_name, Existing existing, unsigned mode)
    : final_(std::move(final_name)), existing_(existing) {
  if (final_ == kStandard) {
    fd_ = Fd(memfd_create("output", MFD_CLOEXEC));
    if (!fd_) throw_errno("memfd_create");
    return;
  }
  check_name(final_, existing_);
  remove_leftovers_once(parent_dir(final_));
  if (existing_ == Existing::Refuse) fd_ = open_unnamed(parent_dir(final_));
  if (fd_) {
    set_mode(fd_, mode, final_);
  } else {
    TemporaryFile made = create_temporary(final_, mode);
    temporary_ = std::move(made.name);
    fd_ = std::move(made.fd);
  }
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : final_(std::move(other.final_)),
      temporary_(std::exchange(other.temporary_, {})),
      existing_(other.existing_),
      fd_(std::move(other.fd_)) {}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  if (this != &other) {
    discard();
    final_ = std::move(other.final_);
    temporary_ = std::exchange(other.temporary_, {});
    existing_ = other.existing_;
    fd_ = std::move(other.fd_);
  }
  return *this;
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::discard() noexcept {
  if (!temporary_.empty()) unlink(temporary_.c_str());
  temporary_.clear();
}

void AtomicFile::sync() {
  if (final_ != kStandard) sync_file(fd_, final_);
}

void AtomicFile::commit() {
  if (final_ == kStandard) {
    Bytes bytes(file_size(fd_));
    read_exact(fd_, bytes, 0);
    return write_output(text_view(bytes));
  }
  sync();
  if (temporary_.empty() && !link_unnamed(fd_, final_)) {
    TemporaryFile named = named_copy(fd_, final_);
    temporary_ = std::move(named.name);
    fd_ = std::move(named.fd);
  }
  if (!temporary_.empty()) publish(temporary_, final_, existing_);
  temporary_.clear();
  try {
    sync_folder(parent_dir(final_));
  } catch (const Error&) {
    if (existing_ == Existing::Refuse) unlink(final_.c_str());  // else the same command would find it there
    throw;
  }
}

void write_file(const std::filesystem::path& path, ByteView bytes, Existing existing, unsigned mode) {
  AtomicFile file(path, existing, mode);
  with_context(path.string(), [&] { write_exact(file.fd(), bytes, 0); });
  file.commit();
}

void sync_folder(const std::filesystem::path& dir) {
  const Fd fd(retry_interrupted([&] { return open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd) throw_errno(dir.string());
  if (retry_interrupted([&] { return fsync(fd.get()); }) != 0 && !medium_cannot(errno))
    throw_errno(dir.string());
}

bool make_unsynced_folder(const std::filesystem::path& dir, unsigned mode) {
  if (mkdir(dir.c_str(), masked(mode)) == 0) {
    if (chmod(dir.c_str(), masked(mode)) != 0 && !medium_cannot(errno)) throw_errno(dir.string());
    return true;
  }
  if (errno != EEXIST) throw_errno(dir.string());
  struct stat status{};
  if (lstat(dir.c_str(), &status) != 0) throw_errno(dir.string());
  if (!S_ISDIR(status.st_mode)) throw Error(ErrorKind::Io, dir.string() + " exists and is not a folder");
  return false;
}

// What is put into the folder is synced with it, and lost with its name.
void make_folder(const std::filesystem::path& dir, unsigned mode) {
  if (make_unsynced_folder(dir, mode)) sync_folder(parent_dir(dir));
}

std::vector<std::filesystem::path> make_output_folder(const std::filesystem::path& dir) {
  std::vector<std::filesystem::path> made;
  const std::filesystem::path above =
      dir.has_filename() ? dir.parent_path() : dir.parent_path().parent_path();
  if (!above.empty() && !std::filesystem::exists(above)) made = make_output_folder(above);
  try {
    if (!is_name_taken(dir)) made.push_back(dir);
    make_folder(dir, 0755);
  } catch (...) {
    for (auto one = made.rbegin(); one != made.rend(); ++one) rmdir(one->c_str());
    throw;
  }
  return made;
}

void require_writable_folder(const std::filesystem::path& dir) {
  if (access(dir.c_str(), W_OK | X_OK) != 0) throw_errno(dir.string());
}

}  // namespace qpcseal
