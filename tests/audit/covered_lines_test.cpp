// SPDX-License-Identifier: Apache-2.0
// Entries that stay in their file: they are read when they are asked for, and are those that were verified.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "appliance/audit/read.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::HostLog;
using testing::read_text;
using testing::write_text;

class Covered : public ::testing::Test {
 protected:
  Covered() {
    Log log = host.create();
    for (std::uint64_t i = 0; i < 20; ++i) log.event("challenge", testing::challenge_data(i));
  }
  [[nodiscard]] std::filesystem::path entries() const { return host.dir / "entries.jsonl"; }
  void change(std::size_t at, char to) const {
    std::string text = read_text(entries());
    text.at(at) = to;
    write_text(entries(), text);
  }
  static std::size_t walk(const LogCopy& copy) {
    std::size_t count = 0;
    copy.each([&](std::uint64_t, std::string_view) { ++count; });
    return count;
  }

  testing::TempFolder temp;
  HostLog host{temp / "log"};
};

TEST_F(Covered, AreTheLinesOfTheFile) {
  const std::string text = read_text(entries());
  write_text(entries(), text + "{\"cut\":");
  const LogCopy copy = read_log(host.dir, std::nullopt);
  const std::vector<std::string_view> lines = split_lines(text);
  ASSERT_EQ(copy.lines.count(), lines.size());
  EXPECT_EQ(copy.lines.end(), text.size());
  EXPECT_EQ(walk(copy), lines.size());
  copy.each([&](std::uint64_t seq, std::string_view line) { EXPECT_EQ(line, lines[seq]); });
  for (std::uint64_t seq = 0; seq < lines.size(); ++seq) EXPECT_EQ(copy.line(seq), lines[seq]);
  std::vector<std::uint64_t> some;
  copy.each(3, 9, [&](std::uint64_t seq, std::string_view) {
    some.push_back(seq);
    return seq < 6;
  });
  EXPECT_EQ(some, (std::vector<std::uint64_t>{3, 4, 5, 6}));
}

TEST_F(Covered, AChangeSinceTheyWereVerifiedIsFound) {
  const LogCopy copy = read_log(host.dir, std::nullopt);
  const std::string good = read_text(entries());
  for (const std::uint64_t seq : {std::uint64_t{0}, std::uint64_t{7}, copy.lines.count() - 1}) {
    change(copy.lines.start(seq) + 30, '~');
    EXPECT_ERROR(LogDamaged, "entry " + std::to_string(seq) + " changed while",
                 static_cast<void>(copy.line(seq)));
    EXPECT_ERROR(LogDamaged, "entry " + std::to_string(seq) + " changed while", walk(copy));
    write_text(entries(), good);
    change(copy.lines.start(seq + 1) - 1, ' ');  // its line feed
    EXPECT_ERROR(LogDamaged, "entry " + std::to_string(seq) + " changed while", walk(copy));
    write_text(entries(), good);
  }
  EXPECT_EQ(walk(copy), copy.lines.count());
}

TEST_F(Covered, AFileThatWasCutShortSinceIsAnError) {
  const LogCopy copy = read_log(host.dir, std::nullopt);
  std::filesystem::resize_file(entries(), copy.lines.start(5));
  EXPECT_EQ(parse_entry(copy.line(4)).seq, 4U);
  EXPECT_ERROR(Io, "the file ends early", static_cast<void>(copy.line(5)));
  EXPECT_ERROR(Io, "the file ends early", walk(copy));
}

// As the programs do before each of their results, to learn what the first entry says.
TEST_F(Covered, WhoWantsTheFirstLineReadsNoMore) {
  constexpr std::uintmax_t kHole = std::uintmax_t{1} << 29;
  constexpr long kMost = 64 << 10;  // KiB
  std::filesystem::resize_file(entries(), kHole);
  const auto peak = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const long before = peak();
  std::string first;
  const std::uint64_t end = Store::open_to_read(host.dir).each_line([&](std::string_view line) {
    first = line;
    return false;
  });
  EXPECT_EQ(parse_entry(first).kind, "genesis");
  EXPECT_EQ(end, first.size() + 1);
  EXPECT_LT(peak() - before, kMost);
}

TEST(Pieces, HaveOneDigestHoweverTheyCome) {
  const testing::TempFolder temp;
  constexpr std::size_t kPiece = std::size_t{32} << 10;
  Bytes bytes((std::size_t{40} << 20) + 12345);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>((i >> 8) * 7 + i);
  write_file(temp / "file", bytes, Existing::Refuse);
  const Fd file = open_to_read(temp / "file");
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kPiece - 1, kPiece, kPiece + 1, 16 * kPiece,
                                 std::size_t{8} << 20, std::size_t{33} << 20, bytes.size()}) {
    Sha256 all;
    for (std::size_t at = 0; at < size; at += kPiece)
      all.update(sha256(ByteView(bytes).subspan(at, std::min(size - at, kPiece))));
    const Sha256Digest expected = all.finish();
    PiecesDigest whole, parts;
    whole.update(ByteView(bytes).first(size));
    for (std::size_t at = 0; at < size; at += 99999)
      parts.update(ByteView(bytes).subspan(at, std::min<std::size_t>(size - at, 99999)));
    EXPECT_EQ(whole.peek(), expected) << size;
    EXPECT_EQ(parts.peek(), expected) << size;
    PiecesDigest read = PiecesDigest::of_file(file, size);
    EXPECT_EQ(read.peek(), expected) << size;
    read.update(ByteView(bytes).subspan(size));  // and goes on from there
    PiecesDigest to_the_end;
    to_the_end.update(bytes);
    EXPECT_EQ(read.peek(), to_the_end.peek()) << size;
  }
  EXPECT_ERROR(Io, "the file ends early", PiecesDigest::of_file(file, bytes.size() + 1));
}

}  // namespace
}  // namespace qpcseal::audit
