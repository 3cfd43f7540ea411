// SPDX-License-Identifier: Apache-2.0
// Each field of an ELF file that may lie, told a lie.
#include "qpc/elf.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/base/expect_error.h"
#include "tests/qpc/builder.h"
#include "tests/qpc/elf_builder.h"

namespace qpcseal::qpc {
namespace {

using testing::build_elf;
using testing::TestElf;

Fd unnamed(const Bytes& bytes) {
  Fd file(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  write_exact(file, bytes, 0);
  return file;
}

ElfFile read_whole(const Bytes& bytes) { return read_elf(unnamed(bytes), 0, bytes.size()); }

TestElf usual(bool wide = true) {
  return build_elf({{".text", Bytes(100, 1)}, {".bss", {}, 8}, {"metadata_fb", Bytes(30, 2)}, {"empty", {}}},
                   wide, 2);
}

TEST(Elf, FindsItsParts) {
  for (const bool wide : {true, false}) {
    const TestElf elf = usual(wide);
    const ElfFile found = read_whole(elf.bytes);
    const std::uint64_t header = wide ? 64 : 52;
    EXPECT_EQ(found.header, (Extent{0, header}));
    EXPECT_EQ(found.program_headers, (Extent{header, 2U * (wide ? 56 : 32)}));
    EXPECT_EQ(found.section_headers, (Extent{elf.sections_at, elf.sections * (wide ? 64 : 40)}));
    ASSERT_EQ(found.sections.size(), 6U);
    EXPECT_EQ(found.sections[0].name, "");
    EXPECT_EQ(found.sections[1].name, ".text");
    EXPECT_EQ(found.sections[1].bytes, (Extent{elf.data_at[0], 100}));
    EXPECT_EQ(found.sections[2].bytes, Extent{}) << "it has none in the file";
    EXPECT_EQ(found.sections[3].name, "metadata_fb");
    EXPECT_EQ(found.sections[3].bytes, (Extent{elf.data_at[2], 30}));
    EXPECT_EQ(found.sections[4].bytes, Extent{});
    EXPECT_EQ(found.names, 5U);
    EXPECT_EQ(found.sections[5].bytes, (Extent{elf.names_at, elf.names_size}));
    EXPECT_FALSE(found.names_are_shared);
  }
}

TEST(Elf, CountsFromItsOwnFirstByte) {
  const TestElf elf = usual();
  Bytes file(777, 9);
  append(file, elf.bytes);
  append(file, Bytes(50, 9));
  EXPECT_EQ(read_elf(unnamed(file), 777, elf.bytes.size()).sections[1].bytes, (Extent{elf.data_at[0], 100}));
  EXPECT_TRUE(is_elf(unnamed(file), 777, elf.bytes.size()));
  EXPECT_FALSE(is_elf(unnamed(file), 776, elf.bytes.size()));
  EXPECT_FALSE(is_elf(unnamed(file), 777, 3));
}

TEST(Elf, SaysWhereSymbolsHaveTheirNamesInTheSameTable) {
  for (const std::uint32_t type : {2U, 11U}) {
    TestElf elf = build_elf({{".symtab", Bytes(24, 1), type}, {"metadata_fb", Bytes(3, 2)}});
    testing::put_le(elf.bytes, elf.section_link(1), 2, 4);
    EXPECT_FALSE(read_whole(elf.bytes).names_are_shared);
    testing::put_le(elf.bytes, elf.section_link(1), elf.sections - 1, 4);
    EXPECT_TRUE(read_whole(elf.bytes).names_are_shared);
  }
}

TEST(Elf, TakesSectionsWithoutBytesWhereverTheyPoint) {
  TestElf elf = usual();
  testing::put_le(elf.bytes, elf.section_offset(2), UINT64_MAX);
  testing::put_le(elf.bytes, elf.section_size(2), UINT64_MAX);
  testing::put_le(elf.bytes, elf.section_offset(4), UINT64_MAX);
  EXPECT_EQ(read_whole(elf.bytes).sections[2].bytes, Extent{});
}

struct ElfLie {
  const char* what;
  const char* says;
  std::function<void(TestElf&)> tell;
};

std::function<void(TestElf&)> put(std::size_t (TestElf::*place)() const, std::uint64_t value,
                                  unsigned width = 2) {
  return [=](TestElf& elf) { testing::put_le(elf.bytes, (elf.*place)(), value, width); };
}
std::function<void(TestElf&)> put_in(std::size_t (TestElf::*place)(std::size_t) const, std::size_t section,
                                     std::uint64_t value, unsigned width = 0) {
  return [=](TestElf& elf) {
    testing::put_le(elf.bytes, (elf.*place)(section), value, width == 0 ? elf.word() : width);
  };
}
std::function<void(TestElf&)> word_at(std::size_t (TestElf::*place)() const, std::uint64_t value) {
  return [=](TestElf& elf) { testing::put_le(elf.bytes, (elf.*place)(), value, elf.word()); };
}
std::function<void(TestElf&)> byte_at(std::size_t at, std::uint8_t value) {
  return [=](TestElf& elf) { elf.bytes[at] = value; };
}

std::vector<ElfLie> elf_header_lies() {
  return {{"magic", "wrong magic", byte_at(3, 'G')},
          {"class 0", "neither 32 nor 64", byte_at(4, 0)},
          {"class 3", "neither 32 nor 64", byte_at(4, 3)},
          {"the other class", "another size than its class", [](TestElf& elf) { elf.bytes[4] ^= 3; }},
          {"big endian", "not little endian", byte_at(5, 2)},
          {"version of the identification", "identification", byte_at(6, 2)},
          {"version", "another version", byte_at(20, 2)},
          {"header size", "its header has another size", put(&TestElf::header_size, 65)},
          {"program header size", "headers have another size", put(&TestElf::program_size, 33)},
          {"section header size", "headers have another size", put(&TestElf::section_entry, 63)},
          {"no sections", "no section headers", put(&TestElf::section_count, 0)},
          {"4097 sections", "more headers than 4096", put(&TestElf::section_count, 4097)},
          {"4096 sections", "outside", put(&TestElf::section_count, 4096)},
          {"65535 program headers", "more headers than 4096", put(&TestElf::program_count, 65535)},
          {"4096 program headers", "outside", put(&TestElf::program_count, 4096)},
          {"no name table", "no section name table", put(&TestElf::names_index, 0)},
          {"name table behind the last", "no section name table", put(&TestElf::names_index, 6)},
          {"extended name table", "no section name table", put(&TestElf::names_index, 65535)},
          {"another section as name table", "no string table", put(&TestElf::names_index, 1)},
          {"sections outside", "section headers lies outside", word_at(&TestElf::section_table, 1U << 20U)},
          {"sections wrap", "section headers lies outside", word_at(&TestElf::section_table, UINT32_MAX)},
          {"sections over the header", "lies outside the file", word_at(&TestElf::section_table, 8)},
          {"programs outside", "program headers lies outside", word_at(&TestElf::program_offset, 1U << 20U)},
          {"programs over the header", "share bytes", word_at(&TestElf::program_offset, 1)},
          {"programs over code", "share bytes", [](TestElf& elf) {
             testing::put_le(elf.bytes, elf.program_offset(), elf.data_at[0] + 3, elf.word());
           }}};
}

std::vector<ElfLie> elf_section_lies() {
  return {
      {"outside", "section 1 lies outside", put_in(&TestElf::section_offset, 1, 1U << 20U)},
      {"one byte too long", "lies outside",
       [](TestElf& elf) {
         testing::put_le(elf.bytes, elf.section_size(1), elf.bytes.size() - elf.data_at[0] + 1, elf.word());
       }},
      {"offset wraps", "section 1 lies outside", put_in(&TestElf::section_offset, 1, UINT32_MAX)},
      {"size wraps", "section 1 lies outside", put_in(&TestElf::section_size, 1, UINT32_MAX)},
      {"over the header", "share bytes", put_in(&TestElf::section_offset, 1, 0)},
      {"over its last byte", "share bytes", put_in(&TestElf::section_offset, 1, 51)},
      {"over the section headers", "share bytes",
       [](TestElf& elf) {
         testing::put_le(elf.bytes, elf.section_offset(1), elf.sections_at - 50, elf.word());
       }},
      {"over another", "share bytes",
       [](TestElf& elf) { testing::put_le(elf.bytes, elf.section_offset(3), elf.data_at[0], elf.word()); }},
      {"one byte into another", "share bytes",
       [](TestElf& elf) { testing::put_le(elf.bytes, elf.section_size(1), 101, elf.word()); }},
      {"over the names", "share bytes",
       [](TestElf& elf) { testing::put_le(elf.bytes, elf.section_offset(3), elf.names_at, elf.word()); }},
      {"a null section is none", "no string table", put_in(&TestElf::section_type, 5, 0, 4)},
      {"names of no bytes", "is empty", put_in(&TestElf::section_size, 5, 0)},
      {"name outside", "name of section 1 lies outside", put_in(&TestElf::section_name, 1, 1U << 20U, 4)},
      {"name 2^32-1", "name of section 3 lies outside", put_in(&TestElf::section_name, 3, UINT32_MAX, 4)},
      {"names without an end", "has no end",
       [](TestElf& elf) { elf.bytes[elf.names_at + elf.names_size - 1] = 'x'; }}};
}

TEST(ElfLies, EachHeaderFieldIsCaught) {
  for (const bool wide : {true, false})
    for (const ElfLie& lie : elf_header_lies()) {
      TestElf elf = usual(wide);
      lie.tell(elf);
      EXPECT_ERROR(Malformed, lie.says, read_whole(elf.bytes)) << lie.what;
    }
}

TEST(ElfLies, EachSectionFieldIsCaught) {
  for (const bool wide : {true, false})
    for (const ElfLie& lie : elf_section_lies()) {
      TestElf elf = usual(wide);
      lie.tell(elf);
      EXPECT_ERROR(Malformed, lie.says, read_whole(elf.bytes)) << lie.what;
    }
}

TEST(ElfLies, SixtyFourBitsWrap) {
  for (const std::uint64_t value : {UINT64_MAX, UINT64_MAX - 99, std::uint64_t{1} << 63U}) {
    for (const auto place : {&TestElf::section_offset, &TestElf::section_size}) {
      TestElf elf = usual();
      testing::put_le(elf.bytes, (elf.*place)(1), value);
      EXPECT_ERROR(Malformed, "section 1 lies outside", read_whole(elf.bytes));
    }
    for (const auto place : {&TestElf::section_table, &TestElf::program_offset}) {
      TestElf elf = usual();
      testing::put_le(elf.bytes, (elf.*place)(), value);
      EXPECT_ERROR(Malformed, "lies outside", read_whole(elf.bytes));
    }
  }
}

TEST(ElfLies, EveryLengthButItsOwn) {
  const Bytes good = usual().bytes;
  const Fd file = unnamed(good);
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_ERROR(Malformed, "ELF: ", read_elf(file, 0, size)) << size;
}

TEST(ElfLies, NamesOf255BytesAndNoMore) {
  EXPECT_EQ(read_whole(build_elf({{std::string(255, 'n'), {1}}}).bytes).sections[1].name.size(), 255U);
  EXPECT_ERROR(Malformed, "within 255", read_whole(build_elf({{std::string(256, 'n'), {1}}}).bytes));
}

TEST(ElfLies, NameTablesOfAMebibyteAndNoMore) {
  std::vector<testing::ElfPart> parts(4090, {std::string(250, 'n'), {}});
  TestElf elf = build_elf(parts);
  EXPECT_GT(elf.names_size, 1U << 19U);
  EXPECT_EQ(read_whole(elf.bytes).sections.size(), 4092U);
  TestElf large = build_elf({{"a", Bytes(2U << 20U, 0)}});
  testing::put_le(large.bytes, large.names_index(), 1, 2);
  testing::put_le(large.bytes, large.section_type(1), 3, 4);
  testing::put_le(large.bytes, large.section_size(1), 1U << 20U);
  EXPECT_EQ(read_whole(large.bytes).names, 1U);
  testing::put_le(large.bytes, large.section_size(1), (1U << 20U) + 1);
  EXPECT_ERROR(Malformed, "larger than 1 MiB", read_whole(large.bytes));
}

}  // namespace
}  // namespace qpcseal::qpc
