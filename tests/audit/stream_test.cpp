// SPDX-License-Identifier: Apache-2.0
// A log verified in one pass: the same verdict as by the whole, whatever was done to it.
#include "appliance/audit/read.h"

#include <gtest/gtest.h>

#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::HostLog;

std::optional<LogCopy> stream(const HostLog& host) {
  const Store store = Store::open_to_read(host.dir);
  return stream_log(store, store.read_checkpoint(), std::nullopt);
}

class Streamed : public ::testing::Test {
 protected:
  Streamed() {
    Log log = host.create();
    for (std::uint64_t i = 0; i < 20; ++i) log.event("challenge", testing::challenge_data(i));
  }
  [[nodiscard]] std::filesystem::path entries() const { return host.dir / "entries.jsonl"; }

  testing::TempFolder temp;
  HostLog host{temp / "log"};
};

TEST_F(Streamed, GivesWhatTheWholeGives) {
  const std::string tail = "{\"cut\":";
  testing::write_text(entries(), testing::read_text(entries()) + tail);
  const LogCopy whole = read_log(host.dir, std::nullopt);
  const auto copy = stream(host);
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->checkpoint, whole.checkpoint);
  EXPECT_EQ(copy->tree.root(7), whole.tree.root(7));
  EXPECT_EQ(copy->key, whole.key);
  EXPECT_EQ(copy->state.log_keys, whole.state.log_keys);
  EXPECT_EQ(copy->state.last_time, whole.state.last_time);
  EXPECT_EQ(copy->tail, tail);
}

TEST_F(Streamed, EveryFlippedBitOfEntriesAndCheckpointIsFound) {
  std::size_t count = 0;
  for (const char* name : {"entries.jsonl", "checkpoint"}) {
    const std::string good = testing::read_text(host.dir / name);
    for (std::size_t i = 0; i < good.size(); ++i) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
      testing::write_text(host.dir / name, bad);
      EXPECT_FALSE(stream(host)) << name << " " << i;
      ++count;
    }
    testing::write_text(host.dir / name, good);
  }
  ASSERT_TRUE(stream(host));
  std::cout << count << " bits flipped\n";
}

TEST_F(Streamed, DamageIsNamedByTheWhole) {
  std::string text = testing::read_text(entries());
  text.replace(text.find("\"kind\":\"challenge\""), 18, "\"kind\":\"challengf\"");
  testing::write_text(entries(), text);
  EXPECT_ERROR(LogDamaged, "entry 1 ", read_log(host.dir, std::nullopt, Check::Proofs));
}

TEST_F(Streamed, LinesRemovedReorderedOrAddedAreFound) {
  const std::string good = testing::read_text(entries());
  const std::vector<std::string_view> lines = split_lines(good);
  const auto written = [&](const std::vector<std::string_view>& some) {
    std::string text;
    for (const std::string_view line : some) text += std::string(line) + "\n";
    testing::write_text(entries(), text);
  };
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::vector<std::string_view> removed = lines, twice = lines, swapped = lines;
    removed.erase(removed.begin() + static_cast<std::ptrdiff_t>(i));
    written(removed);
    EXPECT_FALSE(stream(host)) << i;
    twice.insert(twice.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);
    written(twice);
    EXPECT_FALSE(stream(host) && i + 1 < lines.size()) << i;
    if (i + 1 == lines.size()) continue;
    std::swap(swapped[i], swapped[i + 1]);
    written(swapped);
    EXPECT_FALSE(stream(host)) << i;
  }
}

// More than one append behind the checkpoint: an older one was put back.
TEST_F(Streamed, AnOlderCheckpointIsFound) {
  const std::string older = testing::read_text(host.dir / "checkpoint");
  {
    Log log = host.open();
    log.event("challenge", testing::challenge_data(100));
    log.event("challenge", testing::challenge_data(101));
  }
  testing::write_text(host.dir / "checkpoint", older);
  EXPECT_FALSE(stream(host));
  EXPECT_ERROR(LogDamaged, "more stand behind", read_log(host.dir, std::nullopt, Check::Proofs));
}

TEST_F(Streamed, LinesTooLongForAnEntryAreNotGathered) {
  testing::write_text(entries(), std::string(300000, 'x'));
  const Store store = Store::open_to_read(host.dir);
  EXPECT_ERROR(Malformed, "too long for an entry", store.each_line([](std::string_view) { return true; }));
}

TEST_F(Streamed, ALogTooLargeToReadIsRefused) {
  constexpr std::uintmax_t kMost = std::uintmax_t{16} << 30;
  std::filesystem::resize_file(entries(), kMost + 1);  // a hole
  EXPECT_ERROR(Malformed, "too large", read_log(host.dir, std::nullopt));
}

TEST_F(Streamed, LinesLieAcrossThePiecesThatAreRead) {
  Log log = host.open();
  for (std::uint64_t i = 0; i < 40; ++i) {
    encoding::Json data = testing::challenge_data(1000 + i);
    data["host"] = std::string(20000 + (37 * i), 'h');
    log.event("challenge", std::move(data));
  }
  const auto copy = stream(host);
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->tree.root(), read_log(host.dir, std::nullopt).tree.root());
}

}  // namespace
}  // namespace qpcseal::audit
