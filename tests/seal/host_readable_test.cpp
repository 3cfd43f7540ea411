// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/host_readable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/qpc/builder.h"
#include "tests/qpc/elf_builder.h"
#include "tests/seal/host_key.h"

namespace qpcseal::seal {
namespace {

using qpcseal::testing::build_elf;
using qpcseal::testing::ElfPart;
using qpcseal::testing::TestElf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<std::string> kBoth{"metadata_fb", "metadata"};

HostReadable look_at(const Bytes& bytes, const std::vector<std::string>& sections = kBoth) {
  const Fd file = testing::make_qpc({{"network.elf", bytes}});
  return find_host_readable(file, qpc::Container::read(file).segments()[0], sections);
}

TEST(HostReadable, IsTheHeadersTheNamesAndTheSectionsThatAreListed) {
  for (const bool wide : {true, false}) {
    const TestElf elf =
        build_elf({{".text", Bytes(100, 1)}, {"metadata", Bytes(30, 2)}, {".data", Bytes(50, 3)}}, wide, 1);
    const std::uint64_t front = wide ? 64 + 56 : 52 + 32;
    const HostReadable found = look_at(elf.bytes);
    EXPECT_EQ(found.clear,
              (ClearRanges{
                  {0, front}, {elf.data_at[1], 30}, {elf.names_at, elf.names_size + 5 * (wide ? 64 : 40)}}));
    EXPECT_THAT(found.sections, ElementsAre("metadata"));
    EXPECT_EQ(found.why_not, "");
    EXPECT_THAT(look_at(elf.bytes, {".data", "none"}).sections, ElementsAre(".data"));
  }
}

TEST(HostReadable, TakesEachSectionOfAName) {
  const TestElf elf = build_elf({{"metadata", Bytes(5, 1)},
                                 {".text", Bytes(9, 1)},
                                 {"metadata", Bytes(7, 2)},
                                 {"metadata_fb", Bytes(3, 2)},
                                 {"metadata_fb", {}}});
  EXPECT_THAT(look_at(elf.bytes).sections, ElementsAre("metadata", "metadata", "metadata_fb"));
}

void expect_whole(const Bytes& bytes, const char* why) {
  const HostReadable found = look_at(bytes);
  EXPECT_THAT(found.clear, IsEmpty());
  EXPECT_THAT(found.sections, IsEmpty());
  EXPECT_THAT(found.why_not, HasSubstr(why));
}

TEST(HostReadable, IsNothingOfWhatIsNotAsItMustBe) {
  expect_whole(Bytes(5000, 7), "no ELF file");
  expect_whole({0x7f, 'E', 'L'}, "no ELF file");
  expect_whole({0x7f, 'E', 'L', 'F'}, "shorter than its header");
  expect_whole(build_elf({{".text", Bytes(9, 1)}, {"metadata2", Bytes(9, 1)}}).bytes, "none of the sections");
  expect_whole(build_elf({{".text", Bytes(9, 1)}, {"metadata", {}}}).bytes, "none of the sections");
  expect_whole(build_elf({{".text", Bytes(9, 1)}, {"metadata", Bytes(9, 1), 8}}).bytes,
               "none of the sections");
  expect_whole(build_elf({{"metadata", Bytes(9, 1)}}).bytes, "nothing of it would be sealed");
}

// Headers that point into code would leave it readable.
TEST(HostReadable, IsNothingWhereAPartLiesInAnother) {
  TestElf elf = build_elf({{".text", Bytes(1000, 1)}, {"metadata", Bytes(9, 1)}});
  qpcseal::testing::put_le(elf.bytes, elf.section_offset(2), elf.data_at[0] + 10);
  expect_whole(elf.bytes, "share bytes");
  elf = build_elf({{".text", Bytes(1000, 1)}, {"metadata", Bytes(9, 1)}}, true, 2);
  qpcseal::testing::put_le(elf.bytes, elf.program_offset(), elf.data_at[0] + 10);
  expect_whole(elf.bytes, "share bytes");
}

TEST(HostReadable, IsAtMost64Ranges) {
  std::vector<ElfPart> parts;
  for (int i = 0; i < 62; ++i) {
    parts.push_back({".text", Bytes(5, 1)});
    parts.push_back({"metadata", Bytes(5, 1)});
  }
  parts.push_back({".text", Bytes(5, 1)});
  EXPECT_EQ(look_at(build_elf(parts).bytes).clear.size(), 64U);
  parts.push_back({"metadata", Bytes(5, 1)});
  parts.push_back({".text", Bytes(5, 1)});
  expect_whole(build_elf(parts).bytes, "more than 64 ranges");
}

}  // namespace
}  // namespace qpcseal::seal
