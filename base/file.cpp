#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/error.h"
#include "base/file_parts.h"
#include "base/random.h"

namespace qpcseal {

namespace {

constexpr std::size_t kStep = std::size_t{1} << 30;  // one read or write moves at most 1 GiB

}  // namespace

Fd::Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Fd& Fd::operator=(Fd&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

void Fd::close() {
  const int fd = std::exchange(fd_, -1);
  if (fd >= 0 && ::close(fd) != 0) throw_errno("close");
}

Fd open_to_read(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  Fd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    if (errno == ELOOP)
      throw Error(ErrorKind::Io, path.string() + " is a symbolic link, which is not followed");
    throw_errno(path.string());
  }
  struct stat status{};
  if (fstat(fd.get(), &status) != 0) throw_errno(path.string());
  if (!S_ISREG(status.st_mode)) throw Error(ErrorKind::Io, path.string() + " is not a regular file");
  return fd;
}

std::uint64_t file_size(const Fd& fd) {
  struct stat status{};
  if (fstat(fd.get(), &status) != 0) throw_errno("fstat");
  return static_cast<std::uint64_t>(status.st_size);
}

Bytes read_file(const std::filesystem::path& path, std::size_t limit) {
  const Fd fd = open_to_read(path);
  const std::uint64_t size = file_size(fd);
  if (size > limit)
    throw Error(ErrorKind::Malformed, path.string() + ": " + std::to_string(size) + " bytes, more than the " +
                                          std::to_string(limit) + " allowed");
  Bytes out(static_cast<std::size_t>(size));
  with_context(path.string(), [&] { read_exact(fd, out, 0); });
  return out;
}

std::string read_text_file(const std::filesystem::path& path, std::size_t limit) {
  return std::string(text_of(read_file(path, limit)));
}

void read_exact(const Fd& fd, MutableBytes out, std::uint64_t offset) {
  while (!out.empty()) {
    const std::size_t step = out.size() < kStep ? out.size() : kStep;
    const ssize_t got = pread(fd.get(), out.data(), step, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("read");
    if (got == 0) throw Error(ErrorKind::Io, "read: the file ends early");
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

void write_exact(const Fd& fd, ByteView bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const std::size_t step = bytes.size() < kStep ? bytes.size() : kStep;
    const ssize_t put = pwrite(fd.get(), bytes.data(), step, static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw_errno("write");
    if (put == 0) throw Error(ErrorKind::Io, "write: nothing written");
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
}

AtomicFile::AtomicFile(std::filesystem::path final_name, Existing existing, unsigned mode)
    : final_(std::move(final_name)), existing_(existing) {
  struct stat status{};
  if (existing_ == Existing::Refuse && lstat(final_.c_str(), &status) == 0) throw exists_error(final_);
  SystemRandom random;
  temporary_ = parent_of(final_) / ("." + final_.filename().string() + ".tmp-" + to_hex(random.bytes(6)));
  fd_ = create_beside(temporary_, final_, mode);
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
  if (fsync(fd_.get()) != 0) throw_errno(final_.string());
}

void AtomicFile::commit() {
  sync();
  publish(temporary_, final_, existing_);
  temporary_.clear();
  sync_folder(parent_of(final_));
}

std::filesystem::path parent_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

Error exists_error(const std::filesystem::path& path) {
  return {ErrorKind::Io, path.string() + " exists", "name another output, or replace it with --force"};
}

Fd create_beside(const std::filesystem::path& temporary, const std::filesystem::path& name, unsigned mode) {
  const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  Fd fd(open(temporary.c_str(), flags, 0600));
  if (!fd) throw_errno(name.string());
  if (fchmod(fd.get(), mode) != 0) throw_errno(name.string());
  return fd;
}

void publish(const std::filesystem::path& from, const std::filesystem::path& to, Existing existing) {
  if (existing == Existing::Replace) {
    if (rename(from.c_str(), to.c_str()) != 0) throw_errno(to.string());
    return;
  }
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno == EEXIST) throw exists_error(to);
  if (errno != EINVAL && errno != ENOSYS) throw_errno(to.string());
  if (link(from.c_str(), to.c_str()) != 0) {  // a file system without RENAME_NOREPLACE
    if (errno == EEXIST) throw exists_error(to);
    throw_errno(to.string());
  }
  unlink(from.c_str());
}

void write_file(const std::filesystem::path& path, ByteView bytes, Existing existing, unsigned mode) {
  AtomicFile file(path, existing, mode);
  with_context(path.string(), [&] { write_exact(file.fd(), bytes, 0); });
  file.commit();
}

void sync_folder(const std::filesystem::path& folder) {
  const Fd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || fsync(fd.get()) != 0) throw_errno(folder.string());
}

void make_folder(const std::filesystem::path& folder, unsigned mode) {
  if (mkdir(folder.c_str(), mode) == 0) {
    if (chmod(folder.c_str(), mode) != 0) throw_errno(folder.string());
    return;
  }
  if (errno != EEXIST) throw_errno(folder.string());
  struct stat status{};
  if (lstat(folder.c_str(), &status) != 0) throw_errno(folder.string());
  if (!S_ISDIR(status.st_mode)) throw Error(ErrorKind::Io, folder.string() + " exists and is not a folder");
}

void require_writable_folder(const std::filesystem::path& folder) {
  if (access(folder.c_str(), W_OK | X_OK) != 0) throw_errno(folder.string());
}

}  // namespace qpcseal
