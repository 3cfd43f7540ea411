// SPDX-License-Identifier: Apache-2.0
// The bulk of a file, read and written by several threads: past the page cache where the file system can
// (O_DIRECT), since filling that costs as much as hashing.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "base/fd.h"

namespace qpcseal {

inline constexpr std::size_t kPage = 4096;  // bytes

// Whether the file lies in memory (tmpfs, ramfs), and no disk is behind it.
bool is_in_memory(const Fd& file);

// Memory from a page border on, of whole pages; a large one is in one huge page where the system has one: a
// disk takes that in one piece, and at twice the speed.
class PageBuffer {
 public:
  explicit PageBuffer(std::size_t size);
  [[nodiscard]] MutableBytes bytes() { return {bytes_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::uint8_t* bytes) const noexcept;
  };
  std::size_t size_;
  std::unique_ptr<std::uint8_t, Free> bytes_;
};

// The least whole number of pages that holds so many bytes, in bytes.
constexpr std::uint64_t whole_pages(std::uint64_t size) { return (size + kPage - 1) / kPage * kPage; }

class BulkReader {
 public:
  // `file` is opened a second time for it.
  explicit BulkReader(const Fd& file);
  ~BulkReader();
  BulkReader(const BulkReader&) = delete;
  BulkReader& operator=(const BulkReader&) = delete;

  // `size` bytes of the file from `position` on, somewhere in `buffer`, which is two pages larger than
  // `size`. Thread-safe. Error{Internal} for a smaller buffer, Error{Io} also where the file ends before.
  MutableBytes read(PageBuffer& buffer, std::uint64_t position, std::size_t size);

 private:
  [[nodiscard]] bool is_cached(std::uint64_t position, std::size_t size) const;
  [[nodiscard]] bool read_direct(MutableBytes pages, std::uint64_t position, std::size_t least);

  const Fd& file_;
  Fd direct_;  // none: the cache serves all
  std::atomic<bool> refused_{false};
  void* mapped_ = nullptr;  // never touched: to ask what is in the cache
  std::size_t mapped_size_ = 0;
};

// While it lives, nobody else writes to `file`: its descriptor may be in direct mode.
class BulkWriter {
 public:
  explicit BulkWriter(const Fd& file);
  ~BulkWriter();
  BulkWriter(const BulkWriter&) = delete;
  BulkWriter& operator=(const BulkWriter&) = delete;

  // Whole pages of a PageBuffer to a page border; thread-safe. Error{Internal} for other places, Error{Io}.
  void write(ByteView pages, std::uint64_t position);
  [[nodiscard]] bool is_direct() const { return direct_; }

 private:
  [[nodiscard]] bool try_direct(ByteView pages, std::uint64_t position);
  void leave_direct() noexcept;

  const Fd& file_;
  std::atomic<bool> direct_{false};
  std::mutex writing_;
};

}  // namespace qpcseal
