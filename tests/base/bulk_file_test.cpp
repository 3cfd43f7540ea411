// SPDX-License-Identifier: Apache-2.0
#include "base/bulk_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "tests/base/expect_error.h"

namespace qpcseal {
namespace {

Fd unnamed_in(const char* folder) {
  Fd file(open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) throw_errno(folder);
  return file;
}

bool in_direct_mode(const Fd& file) { return (fcntl(file.get(), F_GETFL) & O_DIRECT) != 0; }

// What several threads write at once is there afterwards, through the same descriptor.
void writes_all(const char* folder) {
  constexpr std::size_t kThreads = 4, kEach = 20;
  const Fd file = unnamed_in(folder);
  ASSERT_EQ(ftruncate(file.get(), kThreads * kEach * 2 * kPage), 0);
  {
    BulkWriter writer(file);
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < kThreads; ++t)
      threads.emplace_back([&writer, t] {
        PageBuffer buffer((2 * kPage) - 1);
        for (std::size_t i = 0; i < kEach; ++i) {
          std::ranges::fill(buffer.bytes(), static_cast<std::uint8_t>((t * kEach) + i));
          writer.write(buffer.bytes(), ((i * kThreads) + t) * 2 * kPage);
        }
      });
  }
  EXPECT_FALSE(in_direct_mode(file)) << "whoever writes next need not write pages";
  write_exact(file, Bytes{7}, 1);
  Bytes all(kThreads * kEach * 2 * kPage);
  read_exact(file, all, 0);
  EXPECT_EQ(all[1], 7);
  all[1] = 0;
  for (std::size_t at = 0; at < all.size(); ++at) {
    const std::size_t block = at / (2 * kPage);
    ASSERT_EQ(all[at], ((block % kThreads) * kEach) + (block / kThreads)) << at;
  }
}

TEST(BulkWriter, WritesPagesOnADisk) { writes_all("/tmp"); }
TEST(BulkWriter, WritesPagesInMemory) { writes_all("/dev/shm"); }

TEST(BulkWriter, IsNotDirectInMemory) {
  const Fd file = unnamed_in("/dev/shm");
  const BulkWriter writer(file);
  EXPECT_FALSE(writer.is_direct());
  EXPECT_FALSE(in_direct_mode(file));
}

TEST(BulkWriter, RefusesWhatIsNotInPages) {
  const Fd file = unnamed_in("/tmp");
  BulkWriter writer(file);
  PageBuffer buffer(3 * kPage);
  EXPECT_ERROR(Internal, "not in pages", writer.write(buffer.bytes().first(100), 0));
  EXPECT_ERROR(Internal, "not in pages", writer.write(buffer.bytes().subspan(1, kPage), 0));
  EXPECT_ERROR(Internal, "not in pages", writer.write(buffer.bytes(), 512));
}

TEST(BulkWriter, NamesWhatFails) {
  const Fd file(open("/dev/full", O_WRONLY | O_CLOEXEC));
  BulkWriter writer(file);
  PageBuffer buffer(kPage);
  EXPECT_ERROR(Io, "No space left", writer.write(buffer.bytes(), 0));
}

std::uint8_t byte_at(std::uint64_t position) {
  return static_cast<std::uint8_t>((position * 7) ^ (position >> 12U));
}

Fd written_file(const char* folder, std::size_t size) {
  Fd file = unnamed_in(folder);
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = byte_at(i);
  write_exact(file, bytes, 0);
  return file;
}

void leave_cache(const Fd& file) {
  ASSERT_EQ(fsync(file.get()), 0);
  ASSERT_EQ(posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
}

// Around the borders of pages, and at the end of a file that ends in the middle of one.
void reads_all(const char* folder, bool cached) {
  constexpr std::size_t kSize = (20 * kPage) + 77, kMost = 5 * kPage;
  const Fd file = written_file(folder, kSize);
  BulkReader reader(file);
  PageBuffer buffer(kMost + (2 * kPage));
  for (const std::size_t at :
       {std::size_t{0}, std::size_t{1}, kPage - 1, kPage, kPage + 1, 15 * kPage, kSize - kMost})
    for (const std::size_t size : {std::size_t{1}, kPage - 1, kPage, kPage + 1, kMost}) {
      if (!cached) leave_cache(file);
      const ByteView read = reader.read(buffer, at, size);
      ASSERT_EQ(read.size(), size);
      for (std::size_t i = 0; i < size; ++i)
        ASSERT_EQ(read[i], byte_at(at + i)) << at << " " << size << " " << i;
    }
  EXPECT_FALSE(in_direct_mode(file));
}

TEST(BulkReader, ReadsFromADisk) { reads_all("/tmp", false); }
TEST(BulkReader, ReadsFromTheCache) { reads_all("/tmp", true); }
TEST(BulkReader, ReadsFromMemory) { reads_all("/dev/shm", true); }

TEST(BulkReader, ReadsWhatWasWrittenAMomentAgo) {
  const Fd file = written_file("/tmp", 4 * kPage);
  leave_cache(file);
  BulkReader reader(file);
  PageBuffer buffer(4 * kPage);
  EXPECT_EQ(reader.read(buffer, 0, kPage)[1], byte_at(1));
  write_exact(file, Bytes{static_cast<std::uint8_t>(byte_at(1) + 1)}, 1);
  EXPECT_EQ(reader.read(buffer, 0, 2 * kPage)[1], static_cast<std::uint8_t>(byte_at(1) + 1));
}

TEST(BulkReader, SaysWhereAFileEndsTooSoon) {
  for (const char* folder : {"/tmp", "/dev/shm"}) {
    const Fd file = written_file(folder, (2 * kPage) + 5);
    leave_cache(file);
    BulkReader reader(file);
    PageBuffer buffer(8 * kPage);
    EXPECT_ERROR(Io, "end", reader.read(buffer, kPage, kPage + 6));
    EXPECT_ERROR(Io, "end", reader.read(buffer, 5 * kPage, 1));
    EXPECT_EQ(reader.read(buffer, kPage, kPage + 5)[0], byte_at(kPage));
  }
}

TEST(BulkReader, RefusesABufferThatTheBordersDoNotFit) {
  const Fd file = written_file("/tmp", 4 * kPage);
  BulkReader reader(file);
  PageBuffer buffer(2 * kPage);
  EXPECT_ERROR(Internal, "too small a buffer", reader.read(buffer, 1, 2 * kPage));
  EXPECT_EQ(reader.read(buffer, kPage, 2 * kPage).size(), 2 * kPage);
}

TEST(PageBuffer, ALargeOneMayBeOneHugePage) {
  PageBuffer buffer((std::size_t{1} << 20U) + (2 * kPage));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.bytes().data()) % (std::size_t{2} << 20U), 0U);
  EXPECT_EQ(buffer.bytes().size(), (std::size_t{1} << 20U) + (2 * kPage));
}

TEST(PageBuffer, IsWholePagesFromABorderOn) {
  for (const std::size_t size : {std::size_t{1}, kPage, kPage + 1}) {
    PageBuffer buffer(size);
    EXPECT_EQ(buffer.bytes().size(), whole_pages(size));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.bytes().data()) % kPage, 0U);
  }
  EXPECT_EQ(whole_pages(0), 0U);
  EXPECT_EQ(whole_pages(1), kPage);
  EXPECT_EQ(whole_pages(kPage), kPage);
}

}  // namespace
}  // namespace qpcseal
