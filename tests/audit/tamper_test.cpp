// SPDX-License-Identifier: Apache-2.0
// A log in other hands: every change to it is found by read_log, and the message names the first bad entry.
#include <gtest/gtest.h>

#include <iostream>

#include "appliance/audit/log.h"
#include "base/error.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::challenge_data;
using testing::HostLog;
using testing::read_text;
using testing::write_text;

class Tampered : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kEntries = 7;

  void SetUp() override {
    {
      Log log = host_.create();
      older_ = read_text(host_.dir / "checkpoint");
      for (std::uint64_t i = 1; i < kEntries; ++i) log.event("challenge", challenge_data(i));
    }
    text_ = read_text(host_.dir / "entries.jsonl");
    note_ = read_text(host_.dir / "checkpoint");
    for (const std::string_view line : split_lines(text_)) lines_.emplace_back(line);
    ASSERT_EQ(lines_.size(), kEntries);
  }

  // What reading says of the log with these entries; empty where it is accepted.
  std::string verdict(const std::string& entries) {
    write_text(host_.dir / "entries.jsonl", entries);
    try {
      read_log(host_.dir, host_.signer.verifier(testing::kOrigin));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::LogDamaged) << error.what();
      return error.what();
    }
    return {};
  }
  static std::string join(const std::vector<std::string>& lines) {
    std::string out;
    for (const std::string& line : lines) out += line + "\n";
    return out;
  }
  void expect_named(const std::vector<std::string>& lines, std::uint64_t first_bad, const char* what) {
    const std::string said = verdict(join(lines));
    EXPECT_NE(said.find("entry " + std::to_string(first_bad) + " "), std::string::npos)
        << what << " at entry " << first_bad << " gave '" << said << "'";
  }

  testing::TempFolder temp_;
  HostLog host_{temp_ / "log"};
  std::string text_, note_, older_;
  std::vector<std::string> lines_;
};

TEST_F(Tampered, EveryFlippedBitNamesItsEntry) {
  EXPECT_EQ(verdict(text_), "");
  std::size_t at = 0, swept = 0, unnamed = 0;
  for (std::uint64_t seq = 0; seq < kEntries; ++seq) {
    for (std::size_t i = 0; i <= lines_[seq].size(); ++i, ++at) {  // the line feed too
      for (unsigned bit = 0; bit < 8; ++bit, ++swept) {
        std::string bad = text_;
        bad[at] = static_cast<char>(static_cast<unsigned char>(bad[at]) ^ (1U << bit));
        const std::string said = verdict(bad);
        ASSERT_NE(said, "") << "entry " << seq << " byte " << i << " bit " << bit;
        const std::string name = "entry " + std::to_string(seq);
        const std::size_t found = said.find(name);
        if (found == std::string::npos ||
            (found + name.size() < said.size() && std::isdigit(said[found + name.size()]) != 0)) {
          ++unnamed;
          if (unnamed < 5)
            ADD_FAILURE() << "entry " << seq << " byte " << i << " bit " << bit << ": " << said;
        }
      }
    }
  }
  EXPECT_EQ(unnamed, 0U);
  std::cout << swept << " bits flipped\n";
}

TEST_F(Tampered, EveryFlippedBitOfTheCheckpointIsFound) {
  unsigned survived = 0;
  for (std::size_t bit = 0; bit < note_.size() * 8; ++bit) {
    std::string bad = note_;
    bad[bit / 8] = static_cast<char>(static_cast<unsigned char>(bad[bit / 8]) ^ (1U << (bit % 8)));
    write_text(host_.dir / "checkpoint", bad);
    if (verdict(text_).empty()) ++survived;
  }
  EXPECT_EQ(survived, 0U);
}

TEST_F(Tampered, RemovedRepeatedSwappedAndInsertedLines) {
  for (std::uint64_t i = 0; i < kEntries; ++i) {
    auto bad = lines_;
    bad.erase(bad.begin() + static_cast<std::ptrdiff_t>(i));
    if (i > 0) expect_named(bad, i, "removal");
    if (i == 0) {
      EXPECT_NE(verdict(join(bad)), "");
    }
    bad = lines_;
    bad.insert(bad.begin() + static_cast<std::ptrdiff_t>(i), lines_[i]);
    if (i + 1 < kEntries) expect_named(bad, i + 1, "repetition");
    if (i == 0 || i + 1 == kEntries) continue;
    bad = lines_;
    std::swap(bad[i], bad[i + 1]);
    expect_named(bad, i, "swap");
  }
}

// A whole entry made well, chain and all, by someone without the key.
TEST_F(Tampered, AForgedEntryThatKeepsTheChainIsNamed) {
  for (std::uint64_t i = 1; i < kEntries; ++i) {
    auto bad = lines_;
    tlog::Hash prev = tlog::leaf_hash(view(lines_[i - 1]));
    for (std::uint64_t k = i; k < kEntries; ++k) {
      Entry entry = parse_entry(lines_[k]);
      if (k == i) entry.data = challenge_data(100);
      entry.prev = prev;
      bad[k] = encode_entry(entry);
      prev = tlog::leaf_hash(view(bad[k]));
    }
    EXPECT_NE(verdict(join(bad)), "") << i;
  }
}

TEST_F(Tampered, ATruncatedTailIsFoundAtEveryByte) {
  for (std::size_t size = 0; size < text_.size(); ++size) {
    const std::string said = verdict(text_.substr(0, size));
    ASSERT_NE(said, "") << size;
    const auto whole = static_cast<std::uint64_t>(
        std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(size), '\n'));
    EXPECT_NE(said.find("entry " + std::to_string(whole) + " is missing"), std::string::npos)
        << size << ": " << said;
  }
}

TEST_F(Tampered, AnOlderCheckpointOrAnotherLogsIsFound) {
  write_text(host_.dir / "checkpoint", older_);
  EXPECT_NE(verdict(text_).find("entry 1 and more stand behind the checkpoint"), std::string::npos);
  HostLog other(temp_ / "other");
  std::swap(other.signer, host_.signer);  // the same key, another log
  {
    Log log = other.create();
    for (std::uint64_t i = 1; i < kEntries; ++i) log.event("challenge", challenge_data(50 + i));
  }
  std::swap(other.signer, host_.signer);
  write_text(host_.dir / "checkpoint", read_text(other.dir / "checkpoint"));
  EXPECT_NE(verdict(text_), "");
  std::filesystem::remove(host_.dir / "checkpoint");
  EXPECT_NE(verdict(text_).find("missing"), std::string::npos);
}

TEST_F(Tampered, LinesBehindTheCheckpointOfMoreThanOneAppendAreRefused) {
  Entry entry = parse_entry(lines_.back());
  ++entry.seq;
  entry.txn = std::string(32, '1');
  const std::string one = encode_entry(entry) + "\n";
  EXPECT_EQ(verdict(text_ + one), "") << "one append that was cut short is no damage";
  ++entry.seq;
  entry.txn = std::string(32, '2');
  EXPECT_NE(verdict(text_ + one + encode_entry(entry) + "\n").find("entry 7 and more"), std::string::npos);
}

}  // namespace
}  // namespace qpcseal::audit
