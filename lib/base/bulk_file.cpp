// SPDX-License-Identifier: Apache-2.0
#include "base/bulk_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/retry.h"

namespace qpcseal {

namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20U, kLarge = std::size_t{1} << 20U;  // bytes

std::uint8_t* allocate_pages(std::size_t size) {
  if (size < kLarge) return static_cast<std::uint8_t*>(std::aligned_alloc(kPage, size));
  const std::size_t whole = (size + kHugePage - 1) / kHugePage * kHugePage;
  auto* out = static_cast<std::uint8_t*>(std::aligned_alloc(kHugePage, whole));
  if (out != nullptr) madvise(out, whole, MADV_HUGEPAGE);  // small pages will do
  return out;
}

bool is_at_a_border(ByteView pages, std::uint64_t position) {
  const auto address = reinterpret_cast<std::uintptr_t>(pages.data());
  return position % kPage == 0 && pages.size() % kPage == 0 && address % kPage == 0;
}

}  // namespace

bool is_in_memory(const Fd& file) {
  struct statfs found{};
  return fstatfs(file.get(), &found) != 0 || found.f_type == TMPFS_MAGIC || found.f_type == RAMFS_MAGIC;
}

void PageBuffer::Free::operator()(std::uint8_t* bytes) const noexcept { std::free(bytes); }

PageBuffer::PageBuffer(std::size_t size) : size_(whole_pages(size)), bytes_(allocate_pages(size_)) {
  if (!bytes_) throw std::bad_alloc();
}

BulkReader::BulkReader(const Fd& file) : file_(file) {
  if (is_in_memory(file)) return;
  const std::string again = "/proc/self/fd/" + std::to_string(file.get());
  direct_ = Fd(open(again.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  const std::uint64_t size = file_size(file);
  if (!direct_ || size == 0) return;
  void* const mapped = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (mapped == MAP_FAILED) return;
  mapped_ = mapped;
  mapped_size_ = size;
}

BulkReader::~BulkReader() {
  if (mapped_ != nullptr) munmap(mapped_, mapped_size_);
}

// All of it: the disk need not be asked for what was just written or read.
bool BulkReader::is_cached(std::uint64_t position, std::size_t size) const {
  if (mapped_ == nullptr || position + size > mapped_size_) return false;
  const std::uint64_t first = position / kPage * kPage;
  std::vector<std::uint8_t> pages(whole_pages(position + size - first) / kPage);
  return mincore(static_cast<std::uint8_t*>(mapped_) + first, position + size - first, pages.data()) == 0 &&
         std::ranges::all_of(pages, [](std::uint8_t page) { return (page & 1U) != 0; });
}

// False where the file system refuses such a read.
bool BulkReader::read_direct(MutableBytes pages, std::uint64_t position, std::size_t least) {
  std::size_t got = 0;
  while (got < least) {
    const MutableBytes rest = pages.subspan(got);
    const ssize_t done = retry_interrupted(
        [&] { return pread(direct_.get(), rest.data(), rest.size(), static_cast<off_t>(position + got)); });
    if (done < 0 && errno == EINVAL) return false;
    if (done < 0) throw_errno("read");
    got += static_cast<std::size_t>(done);
    if (got < least && static_cast<std::size_t>(done) % kPage != 0) return false;  // the rest is at no border
    if (done == 0) return false;  // the end of the file, which the other way to read says in its own words
  }
  return true;
}

MutableBytes BulkReader::read(PageBuffer& buffer, std::uint64_t position, std::size_t size) {
  const std::size_t before = position % kPage;
  const std::size_t whole = whole_pages(before + size);
  if (whole > buffer.bytes().size()) throw Error(ErrorKind::Internal, "a bulk read into too small a buffer");
  const MutableBytes out = buffer.bytes().subspan(before, size);
  if (direct_ && !refused_ && !is_cached(position, size)) {
    if (read_direct(buffer.bytes().first(whole), position - before, before + size)) return out;
    refused_ = true;
  }
  read_exact(file_, out, position);
  return out;
}

BulkWriter::BulkWriter(const Fd& file) : file_(file) {
  const int flags = fcntl(file.get(), F_GETFL);
  if (flags >= 0 && (flags & O_DIRECT) == 0 && !is_in_memory(file))
    direct_ = fcntl(file.get(), F_SETFL, flags | O_DIRECT) == 0;
}

BulkWriter::~BulkWriter() {
  if (direct_) leave_direct();
}

void BulkWriter::leave_direct() noexcept {
  direct_ = false;
  const int flags = fcntl(file_.get(), F_GETFL);
  if (flags >= 0) fcntl(file_.get(), F_SETFL, flags & ~O_DIRECT);
}

// False where the file system refuses such a write; then none was made from here on.
bool BulkWriter::try_direct(ByteView pages, std::uint64_t position) {
  while (!pages.empty()) {
    const ssize_t done = retry_interrupted(
        [&] { return pwrite(file_.get(), pages.data(), pages.size(), static_cast<off_t>(position)); });
    if (done < 0 && errno == EINVAL) return false;
    if (done < 0) throw_errno("write");
    if (static_cast<std::size_t>(done) % kPage != 0) return false;  // the rest is at no border
    pages = pages.subspan(static_cast<std::size_t>(done));
    position += static_cast<std::uint64_t>(done);
  }
  return true;
}

void BulkWriter::write(ByteView pages, std::uint64_t position) {
  if (!is_at_a_border(pages, position)) throw Error(ErrorKind::Internal, "a bulk write that is not in pages");
  if (direct_ && try_direct(pages, position)) return;
  // The kernel lets one thread at a time write to a file by its cache; the others wait busily: here they
  // sleep.
  const std::lock_guard lock(writing_);
  if (direct_) leave_direct();
  write_exact(file_, pages, position);
}

}  // namespace qpcseal
