// SPDX-License-Identifier: Apache-2.0
// A file in memory: its bytes, and no way to change them.
#include "confine/memory_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/base/expect_error.h"

namespace qpcseal::confine {
namespace {

TEST(MemoryFile, HasItsBytes) {
  for (const Bytes& bytes : {Bytes{}, Bytes{0}, Bytes(70000, 7)}) {
    const Fd file = memory_file(bytes);
    Bytes got(file_size(file));
    read_exact(file, got, 0);
    EXPECT_EQ(got, bytes);
    EXPECT_NE(fcntl(file.get(), F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST(MemoryFile, TakesNoChange) {
  const Fd file = memory_file(view("text"));
  EXPECT_ERROR(Io, "Operation not permitted", (write_exact(file, view("x"), 0), 0));
  for (const off_t size : {0, 3, 5}) {
    errno = 0;
    EXPECT_EQ(ftruncate(file.get(), size), -1) << size;
    EXPECT_EQ(errno, EPERM) << size;
  }
  EXPECT_EQ(mmap(nullptr, 4, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0), MAP_FAILED);
  EXPECT_EQ(fcntl(file.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1) << "nor another seal";
  const Fd again(open(("/proc/self/fd/" + std::to_string(file.get())).c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_ERROR(Io, "write", (write_exact(again, view("x"), 0), 0)) << "nor when it is opened anew";
}

}  // namespace
}  // namespace qpcseal::confine
