// SPDX-License-Identifier: Apache-2.0
// memscan finds what is planted and nothing else; and a key that the token made is not in its client's
// memory.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <sstream>

#include "base/random.h"
#include "tests/forward/forwarded.h"

namespace qpcseal::testing {
namespace {

constexpr std::size_t kSize = 16;
constexpr std::uint8_t kMask = 0x5a;

Finished scan(const std::filesystem::path& strings) {
  return run(std::string(kMemscan) + " " + std::to_string(::getpid()) + " " + strings.string());
}

std::string address(const volatile void* place) {
  std::ostringstream out;
  out << "at 0x" << std::hex << reinterpret_cast<std::uintptr_t>(place) << " in ";
  return out.str();
}

// A value that lies nowhere in this process: it is kept masked, and unmasked only where it is planted.
class Memscan : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "reading another process's memory needs root here";
    masked_ = SystemRandom().bytes(kSize);
    std::ofstream out(strings());
    out << "# what to look for\n";
    for (const std::uint8_t byte : masked_) {
      const auto digit = [](unsigned value) { return "0123456789abcdef"[value]; };
      out << digit((byte ^ kMask) >> 4U) << digit((byte ^ kMask) & 15U);
    }
    out << " planted value\n";
  }
  void plant(volatile std::uint8_t* place) const {
    for (std::size_t i = 0; i < kSize; ++i) place[i] = masked_[i] ^ kMask;
  }
  [[nodiscard]] std::filesystem::path strings() const { return folder_.path() / "strings"; }

 private:
  TemporaryFolder folder_;
  Bytes masked_;
};

TEST_F(Memscan, FindsNothingWhereNothingIs) {
  const Finished finished = scan(strings());
  EXPECT_EQ(finished.code, 0) << finished.output;
  EXPECT_NE(finished.output.find("0 found in "), std::string::npos) << finished.output;
}

TEST_F(Memscan, FindsHeapStackAndMappings) {
  Bytes heap(kSize);
  std::array<volatile std::uint8_t, kSize> stack{};
  constexpr std::size_t kPages = std::size_t{3} << 20;
  void* pages = ::mmap(nullptr, kPages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  plant(heap.data());
  plant(stack.data());
  // Across the edges of the scanner's windows, wherever the mapping begins, and at its very end.
  auto* bytes = static_cast<std::uint8_t*>(pages);
  const std::size_t edge = (std::size_t{1} << 20) - 5;
  plant(bytes + edge);
  plant(bytes + kPages - kSize);
  const Finished finished = scan(strings());
  EXPECT_EQ(finished.code, 1);
  const auto says = [&](const std::string& text) { return finished.output.find(text) != std::string::npos; };
  EXPECT_TRUE(says("planted value " + address(heap.data()) + "[heap]")) << finished.output;
  EXPECT_TRUE(says("planted value " + address(stack.data()) + "[stack]")) << finished.output;
  EXPECT_TRUE(says("planted value " + address(bytes + edge))) << finished.output;
  EXPECT_TRUE(says("planted value " + address(bytes + kPages - kSize))) << finished.output;
  EXPECT_TRUE(says("4 found in ")) << finished.output;
  ::munmap(pages, kPages);
}

TEST_F(Memscan, SeesIntoAProcessThatIsNotDumpable) {
  Bytes heap(kSize);
  plant(heap.data());
  ASSERT_EQ(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), 0);
  const Finished finished = scan(strings());
  ASSERT_EQ(::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
  EXPECT_EQ(finished.code, 1) << finished.output;
}

TEST_F(Memscan, CannotLookIsNotNoneFound) {
  const std::string self = std::string(kMemscan) + " " + std::to_string(::getpid()) + " ";
  EXPECT_EQ(run(self + "/nonexistent").code, 2);
  EXPECT_EQ(run(std::string(kMemscan) + " 4194305 " + strings().string()).code, 2);
  for (const char* text : {"", "# only a comment\n", "zz\n", "abc\n", "0011223344\n"}) {
    std::ofstream(strings()) << text;
    EXPECT_EQ(scan(strings()).code, 2) << text;
  }
}

// The server's record is true: the value in it encrypts as the token's key does.
TEST_F(Memscan, AKeyOfTheTokenIsRecordedThereAndNotInTheClient) {
  ForwardServer server;
  const pkcs11::Module module = server.module();
  RawSession session(module);
  auto made = extractable_aes("mek");
  auto attributes = made.attributes();
  CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
  CK_OBJECT_HANDLE key = 0;
  ASSERT_EQ(session->C_GenerateKey(session.handle(), &mechanism, attributes.data(), attributes.size(), &key),
            CKR_OK);
  const Bytes sealed = session.gcm(key, Bytes(50, 1));
  const Finished before = scan(server.recorded_keys());
  EXPECT_EQ(before.code, 0) << before.output;
  std::ifstream record(server.recorded_keys());
  std::string hex, label;
  record >> hex >> label;
  EXPECT_EQ(label, "mek");
  const Bytes value = from_hex(hex);
  ASSERT_EQ(value.size(), 16U);
  EXPECT_EQ(session.gcm(session.import_aes(value), Bytes(50, 1)), sealed);
  const Finished after = scan(server.recorded_keys());
  EXPECT_EQ(after.code, 1) << after.output;
}

TEST_F(Memscan, AKeyThatTheTokenKeepsIsNamedAsUnknown) {
  ForwardServer server;
  const pkcs11::Module module = server.module();
  const RawSession session(module);
  auto made = extractable_aes("kept");
  made.flag(CKA_EXTRACTABLE, false);
  auto attributes = made.attributes();
  CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
  CK_OBJECT_HANDLE key = 0;
  ASSERT_EQ(session->C_GenerateKey(session.handle(), &mechanism, attributes.data(), attributes.size(), &key),
            CKR_OK);
  std::ifstream record(server.recorded_keys());
  std::string line;
  std::getline(record, line);
  EXPECT_EQ(line, "# not extractable: kept");
}

}  // namespace
}  // namespace qpcseal::testing
