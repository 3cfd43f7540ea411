// SPDX-License-Identifier: Apache-2.0
// A file descriptor, and reading and writing at a place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "base/bytes.h"

namespace qpcseal {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept;
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd();
  [[nodiscard]] int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  void close();                                              // throws Error{Io}
  int release() noexcept { return std::exchange(fd_, -1); }  // stays open

 private:
  int fd_ = -1;
};

// The name that stands for standard input and standard output, where a person gives one.
inline constexpr const char* kStandard = "-";
// Opens a regular file to read: O_NOFOLLOW, O_CLOEXEC. kStandard: all of standard input, at most 64 MiB, each
// time the same. Error{Io} names the path and the cause (a link, a
// folder, a device are refused).
Fd open_to_read(const std::filesystem::path& path);
std::uint64_t file_size(const Fd& fd);
// Whole file, at most `limit` bytes; Error{Malformed} when larger.
Bytes read_file(const std::filesystem::path& path, std::size_t limit);
std::string read_text_file(const std::filesystem::path& path, std::size_t limit);
// Fills `out` from `offset`. Error{Io} on a short file. Thread-safe.
void read_exact(const Fd& fd, MutableBytes out, std::uint64_t offset);
void write_exact(const Fd& fd, ByteView bytes, std::uint64_t offset);
// fsync(2). Error{Io} names `what`.
void sync_file(const Fd& fd, const std::filesystem::path& what);

// What becomes of a name that is taken.
enum class Existing { Refuse, Replace };

}  // namespace qpcseal
