// SPDX-License-Identifier: Apache-2.0
// A log as static files: the names that C2SP tlog-tiles gives them, and tiles of three levels.
#include "appliance/audit/tiles.h"

#include <gtest/gtest.h>

#include "appliance/audit/log.h"
#include "base/error.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::audit {
namespace {

using testing::read_text;

// The examples of the specification, and the ends of each group of digits.
TEST(Tiles, Numbers) {
  EXPECT_EQ(tile_number(0), "000");
  EXPECT_EQ(tile_number(999), "999");
  EXPECT_EQ(tile_number(1000), "x001/000");
  EXPECT_EQ(tile_number(1234067), "x001/x234/067");
  EXPECT_EQ(tile_number(18446744073709551615U), "x018/x446/x744/x073/x709/x551/615");
}

// RFC 6962 section 2.1 over the hashes that stand one after another in `tile`.
tlog::Hash root_of(const std::string& tile) {
  constexpr std::size_t kHash = sizeof(tlog::Hash);
  if (tile.size() == kHash) {
    tlog::Hash out;
    std::copy(tile.begin(), tile.end(), out.begin());
    return out;
  }
  const std::size_t half = tile.size() / 2;
  return tlog::node_hash(root_of(tile.substr(0, half)), root_of(tile.substr(half)));
}
std::string text_of(const tlog::Hash& hash) { return {hash.begin(), hash.end()}; }

// 65,536 entries fill a tile of the second level, so that the third has its first hash.
TEST(Tiles, EachHashIsTheRootOfTheTileBelow) {
  constexpr std::uint64_t kEntries = 65536 + 256 + 3, kBatch = 8192;
  const testing::TempFolder temp;
  testing::HostLog host(temp / "log");
  host.every = UINT64_MAX;
  {
    Log log = host.create();
    while (log.state().size < kEntries) {
      std::vector<encoding::Json> batch(std::min(kBatch, kEntries - log.state().size),
                                        {{"quarantine", "q"}, {"bytes", 0}, {"lines", 0}, {"sha256", ""}});
      log.events("recovery", std::move(batch));
    }
  }
  const LogCopy copy = read_log(host.dir, std::nullopt, Check::Everything);
  export_tiles(copy, temp / "tiles");
  const auto tile = [&](const std::string& name) { return read_text(temp / "tiles" / ("tile/" + name)); };
  EXPECT_EQ(read_text(temp / "tiles" / "checkpoint"), copy.note);
  EXPECT_EQ(tile("2/000.p/1"), text_of(root_of(tile("1/000"))));
  EXPECT_EQ(tile("1/001.p/1"), text_of(root_of(tile("0/256"))));
  for (const std::uint64_t number : {0U, 1U, 255U})
    EXPECT_EQ(tile("1/000").substr(number * sizeof(tlog::Hash), sizeof(tlog::Hash)),
              text_of(root_of(tile("0/" + tile_number(number)))));
  EXPECT_EQ(tile("0/257.p/3").size(), 3 * sizeof(tlog::Hash));
  std::string last = tile("entries/257.p/3"), hashes;
  for (std::uint64_t seq = kEntries - 3; seq < kEntries; ++seq) {
    const std::size_t size = load_be(view(last).first(2));
    EXPECT_EQ(last.substr(2, size), copy.line(seq));
    hashes += text_of(tlog::leaf_hash(view(last).subspan(2, size)));
    last.erase(0, 2 + size);
  }
  EXPECT_EQ(last, "");
  EXPECT_EQ(hashes, tile("0/257.p/3"));
  EXPECT_ERROR(Io, "not empty", export_tiles(copy, temp / "tiles"));
}

}  // namespace
}  // namespace qpcseal::audit
