// Files: opened without following links, written under a temporary name, complete and on disk before they
// appear.
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

// Opens a regular file to read: O_NOFOLLOW, O_CLOEXEC. Error{Io} names the path and the cause (a link, a
// folder, a device are refused).
Fd open_to_read(const std::filesystem::path& path);
std::uint64_t file_size(const Fd& fd);
// Whole file, at most `limit` bytes; Error{Malformed} when larger.
Bytes read_file(const std::filesystem::path& path, std::size_t limit);
std::string read_text_file(const std::filesystem::path& path, std::size_t limit);
// Fills `out` from `offset`. Error{Io} on a short file. Thread-safe.
void read_exact(const Fd& fd, MutableBytes out, std::uint64_t offset);
void write_exact(const Fd& fd, ByteView bytes, std::uint64_t offset);

enum class Existing { Refuse, Replace };

// A file being written beside its final name. commit() syncs it, gives it the final name and syncs the
// folder; without commit nothing appears. With Existing::Refuse an existing name is Error{Io} at construction
// and again, atomically, at commit (link(2) / renameat2 NOREPLACE).
class AtomicFile {
 public:
  AtomicFile(std::filesystem::path final_name, Existing existing, unsigned mode = 0644);
  AtomicFile(AtomicFile&&) noexcept;
  AtomicFile& operator=(AtomicFile&&) noexcept;
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();
  [[nodiscard]] const Fd& fd() const { return fd_; }
  [[nodiscard]] const std::filesystem::path& temporary_name() const { return temporary_; }
  void sync();    // fsync alone, early
  void commit();  // once

 private:
  void discard() noexcept;
  std::filesystem::path final_, temporary_;
  Existing existing_ = Existing::Refuse;
  Fd fd_;
};

void write_file(const std::filesystem::path& path, ByteView bytes, Existing existing, unsigned mode = 0644);
void sync_folder(const std::filesystem::path& folder);
// Makes one folder with `mode`, whatever the umask; fine when it exists as a real folder, Error{Io}
// otherwise.
void make_folder(const std::filesystem::path& folder, unsigned mode = 0700);
// Error{Io} where this process can make no files in it.
void require_writable_folder(const std::filesystem::path& folder);

}  // namespace qpcseal
