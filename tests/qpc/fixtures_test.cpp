// SPDX-License-Identifier: Apache-2.0
// Containers as compilers really write them, against their listings: QPCSEAL_FIXTURES names a folder of pairs
// NAME.qpc and NAME.json.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/file.h"
#include "qpc/container.h"
#include "tests/qpc/builder.h"

namespace qpcseal::qpc {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::vector<fs::path> listings() {
  std::vector<fs::path> out;
  if (const char* dir = std::getenv("QPCSEAL_FIXTURES"))
    for (const auto& entry : fs::directory_iterator(dir))
      if (entry.path().extension() == ".json") out.push_back(entry.path());
  return out;
}

Bytes data_of(const Fd& file, const Segment& segment) {
  Bytes out(segment.size);
  read_exact(file, out, segment.data_position);
  return out;
}

TEST(Fixtures, NamesSizesOffsetsAndBytesAreAsListed) {
  if (listings().empty()) GTEST_SKIP() << "QPCSEAL_FIXTURES names no folder with containers and listings";
  for (const fs::path& path : listings()) {
    const Json listing = Json::parse(text_view(read_file(path, 1 << 20)));
    const Fd file = open_to_read(fs::path(path).replace_extension(".qpc"));
    const Container read = Container::read(file);
    EXPECT_EQ(read.file_size(), listing.at("size").get<std::uint64_t>());
    EXPECT_EQ(read.base(), std::stoull(listing.at("base").get<std::string>(), nullptr, 16));
    ASSERT_EQ(read.segments().size(), listing.at("segments").size());
    for (std::size_t i = 0; i < read.segments().size(); ++i) {
      const Segment& segment = read.segments()[i];
      const Json& listed = listing.at("segments")[i];
      EXPECT_EQ(segment.name, listed.at("name").get<std::string>());
      EXPECT_EQ(segment.size, listed.at("size").get<std::uint64_t>());
      EXPECT_EQ(segment.offset, listed.at("offset").get<std::uint64_t>());
      EXPECT_EQ(segment.data_position, listed.at("file_offset").get<std::uint64_t>());
      EXPECT_EQ(sha256_hex(data_of(file, segment)), listed.at("sha256").get<std::string>());
    }
  }
}

// Taken apart and put together again, in either flavour: a file-built one becomes itself.
TEST(Fixtures, TakenApartAndPutTogether) {
  if (listings().empty()) GTEST_SKIP() << "QPCSEAL_FIXTURES names no folder with containers and listings";
  for (const fs::path& path : listings()) {
    const fs::path qpc = fs::path(path).replace_extension(".qpc");
    const Fd file = open_to_read(qpc);
    const Container read = Container::read(file);
    std::vector<Segment> segments = read.segments();
    const std::uint64_t size = place_unaligned(segments);
    Bytes again = encode_front(segments, size);
    for (const Segment& segment : read.segments()) append(again, data_of(file, segment));
    const Container second = testing::read_qpc(again);
    ASSERT_EQ(second.segments().size(), read.segments().size());
    for (std::size_t i = 0; i < segments.size(); ++i) {
      EXPECT_EQ(second.segments()[i].name, read.segments()[i].name);
      EXPECT_EQ(second.segments()[i].offset, read.segments()[i].offset);
      const Segment& moved = second.segments()[i];
      EXPECT_TRUE(std::ranges::equal(ByteView(again).subspan(moved.data_position, moved.size),
                                     data_of(file, read.segments()[i])));
    }
    if (read.base() == 0) {
      EXPECT_EQ(again, read_file(qpc, 1 << 24)) << qpc;
    }
  }
}

}  // namespace
}  // namespace qpcseal::qpc
