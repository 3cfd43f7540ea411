// SPDX-License-Identifier: Apache-2.0
#include "base/fd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/retry.h"

namespace qpcseal {

namespace {

constexpr std::size_t kStep = std::size_t{1} << 30;  // one read or write moves at most 1 GiB

constexpr std::uint64_t kMaxInput = std::uint64_t{64} << 20;  // bytes

Fd read_standard_input() {
  Fd out(memfd_create("input", MFD_CLOEXEC));
  if (!out) throw_errno("memfd_create");
  Bytes piece(std::size_t{1} << 16);
  for (std::uint64_t size = 0;;) {
    const ssize_t got = retry_interrupted([&] { return read(STDIN_FILENO, piece.data(), piece.size()); });
    if (got < 0) throw_errno("standard input");
    if (got == 0) return out;
    write_exact(out, ByteView(piece).first(static_cast<std::size_t>(got)), size);
    size += static_cast<std::uint64_t>(got);
    if (size > kMaxInput) throw Error(ErrorKind::Malformed, "standard input: more than 64 MiB; name a file");
  }
}

Fd open_standard_input() {
  static const Fd input = read_standard_input();
  Fd copy(fcntl(input.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) throw_errno("standard input");
  return copy;
}

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
  if (fd >= 0 && ::close(fd) != 0 && errno != EINTR) throw_errno("close");
}

Fd open_to_read(const std::filesystem::path& path) {
  if (path == kStandard) return open_standard_input();
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  Fd fd(
      retry_interrupted([&] { return open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK); }));
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
  return std::string(text_view(read_file(path, limit)));
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

void sync_file(const Fd& fd, const std::filesystem::path& what) {
  if (retry_interrupted([&] { return fsync(fd.get()); }) != 0) throw_errno(what.string());
}

}  // namespace qpcseal
