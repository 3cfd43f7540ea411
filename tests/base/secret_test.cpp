// SPDX-License-Identifier: Apache-2.0
// Secrets: locked, left out of core dumps, zeroed when they go.
#include "base/secret.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <type_traits>

#include "tests/base/expect_error.h"
#include "tests/base/syscall_spy.h"

namespace qpcseal {
namespace {

static_assert(!std::is_copy_constructible_v<SecretBuffer> && !std::is_copy_assignable_v<SecretBuffer>);
static_assert(std::is_nothrow_move_constructible_v<SecretBuffer>);

template <typename T>
concept Printable = requires(std::ostream& out, const T& value) { out << value; };
static_assert(!Printable<SecretBuffer>);

struct Mapping {
  bool found = false;
  std::size_t locked_kib = 0, size_kib = 0;
  std::string flags;
};

// What the kernel says of the mapping that holds `address`.
Mapping mapping_of(const void* address) {
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  std::ifstream file("/proc/self/smaps");
  Mapping out;
  for (std::string line; std::getline(file, line);) {
    std::uintptr_t low = 0, high = 0;
    char dash = 0;
    std::istringstream head(line);
    if (head >> std::hex >> low >> dash >> high && dash == '-') {
      if (out.found) break;
      out.found = low <= wanted && wanted < high;
    }
    if (!out.found) continue;
    std::istringstream rest(line);
    std::string key;
    rest >> key;
    if (key == "Locked:") rest >> out.locked_kib;
    if (key == "Size:") rest >> out.size_kib;
    if (key == "VmFlags:") std::getline(rest, out.flags);
  }
  return out;
}

bool all_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

TEST(Secret, IsZeroLockedAndLeftOutOfCoreDumps) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "under this sanitizer mlock does nothing";
#endif
  SecretBuffer secret(5000);
  EXPECT_EQ(secret.size(), 5000U);
  EXPECT_TRUE(all_zero(secret.bytes()));
  secret.bytes()[4999] = 1;
  const Mapping mapping = mapping_of(secret.bytes().data());
  ASSERT_TRUE(mapping.found);
  EXPECT_EQ(mapping.locked_kib, mapping.size_kib);
  EXPECT_GE(mapping.locked_kib, 8U);
  EXPECT_NE(mapping.flags.find(" lo"), std::string::npos) << mapping.flags;
  EXPECT_NE(mapping.flags.find(" dd"), std::string::npos) << mapping.flags;
}

TEST(Secret, AChildProcessHasZerosInItsPlace) {
  SecretBuffer secret(5000);
  std::fill(secret.bytes().begin(), secret.bytes().end(), std::uint8_t{0xaa});
  const pid_t child = fork();
  if (child == 0) _exit(all_zero(secret.bytes()) ? 0 : 1);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(secret.bytes()[4999], 0xaa);
}

TEST(Secret, TheSameIsNotSoOfOrdinaryMemory) {
  const Bytes plain(1 << 20, 1);  // proves that mapping_of can say no
  const Mapping mapping = mapping_of(plain.data());
  ASSERT_TRUE(mapping.found);
  EXPECT_EQ(mapping.flags.find(" dd"), std::string::npos);
  EXPECT_EQ(mapping.flags.find(" lo"), std::string::npos);
}

TEST(Secret, IsZeroedBeforeItIsUnmapped) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer has a munmap of its own, which cannot be watched";
#endif
  testing::SpyScope spy;
  {
    SecretBuffer secret(33);
    std::fill(secret.bytes().begin(), secret.bytes().end(), std::uint8_t{0xaa});
    spy->watched = secret.bytes().data();
  }
  EXPECT_TRUE(spy->unmapped);
  EXPECT_TRUE(spy->was_zero);
}

TEST(Secret, AnAssignedOverSecretIsZeroedToo) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer has a munmap of its own, which cannot be watched";
#endif
  testing::SpyScope spy;
  SecretBuffer secret(16);
  secret.bytes()[3] = 7;
  spy->watched = secret.bytes().data();
  secret = SecretBuffer(16);
  EXPECT_TRUE(spy->unmapped);
  EXPECT_TRUE(spy->was_zero);
}

TEST(Secret, TruncateZeroesWhatLiesBeyond) {
  SecretBuffer secret(64);
  std::fill(secret.bytes().begin(), secret.bytes().end(), std::uint8_t{0xaa});
  const std::uint8_t* data = secret.bytes().data();
  secret.truncate(10);
  EXPECT_EQ(secret.size(), 10U);
  EXPECT_TRUE(all_zero({data + 10, 54}));
  EXPECT_EQ(data[9], 0xaa);
  secret.truncate(20);  // never grows
  EXPECT_EQ(secret.size(), 10U);
  secret.truncate(0);
  EXPECT_TRUE(secret.empty());
  EXPECT_TRUE(all_zero({data, 64}));
}

TEST(Secret, MovesWithoutACopy) {
  SecretBuffer first(8);
  first.bytes()[0] = 9;
  const std::uint8_t* data = first.bytes().data();
  SecretBuffer second = std::move(first);
  EXPECT_EQ(second.bytes().data(), data);
  EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move): what a move leaves is promised
  SecretBuffer& same = second;
  second = std::move(same);
  EXPECT_EQ(second.bytes()[0], 9);
}

TEST(Secret, EmptyOnesNeedNoMemory) {
  EXPECT_TRUE(SecretBuffer().empty());
  EXPECT_TRUE(SecretBuffer(0).empty());
  EXPECT_EQ(SecretBuffer(0).bytes().data(), nullptr);
}

// In a child without privileges and without any allowance of locked memory.
int make_a_secret_that_cannot_be_locked() {
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_MEMLOCK, &none) != 0) return 10;
  if (geteuid() == 0 && setuid(65534) != 0) return 11;
  try {
    const SecretBuffer secret(16);
  } catch (const Error& error) {
    const bool says_how = error.hint().find("LimitMEMLOCK=") != std::string::npos;
    return error.kind() == ErrorKind::Io && says_how ? 42 : 12;
  }
  return 13;
}

TEST(Secret, NoLockNoSecret) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "under this sanitizer mlock does nothing and cannot fail";
#endif
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(make_a_secret_that_cannot_be_locked());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 42);
}

}  // namespace
}  // namespace qpcseal
