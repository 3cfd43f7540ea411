// SPDX-License-Identifier: Apache-2.0
#include "qpc/elf.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/error.h"

namespace qpcseal::qpc {

namespace {

constexpr std::string_view kElfMagic(
    "\x7f"
    "ELF",
    4);
constexpr std::uint64_t kShortest = 52;  // bytes: a header of 32 bits
constexpr std::uint32_t kSectionNull = 0, kSectionSymbols = 2, kSectionStrings = 3, kSectionNoBits = 8,
                        kSectionDynamicSymbols = 11;

Error bad_elf(const std::string& what) { return {ErrorKind::Malformed, "ELF: " + what}; }

// Sizes of the two classes, bytes.
struct ElfClass {
  unsigned word;  // of an address, an offset, a size
  std::uint64_t header, program_header, section_header;
};
constexpr ElfClass kElf32{4, 52, 32, 40}, kElf64{8, 64, 56, 64};

// A file in a file.
struct ElfWindow {
  const Fd& file;
  std::uint64_t begin, size;

  [[nodiscard]] Bytes read(const Extent& extent) const {
    Bytes out(static_cast<std::size_t>(extent.size));
    read_exact(file, out, begin + extent.first);
    return out;
  }
  void check(const Extent& extent, const std::string& what) const {
    if (extent.first > size || extent.size > size - extent.first)
      throw bad_elf(what + " lies outside the file");
  }
};

struct ElfHeader {
  std::uint64_t program_at = 0, section_at = 0;
  std::uint64_t program_count = 0, section_count = 0, names = 0;
};

const ElfClass& class_of(ByteView ident) {
  if (text_view(ident.first(4)) != kElfMagic) throw bad_elf("wrong magic");
  if (ident[4] != 1 && ident[4] != 2) throw bad_elf("neither 32 nor 64 bits");
  if (ident[5] != 1) throw bad_elf("not little endian");
  if (ident[6] != 1) throw bad_elf("its identification has another version than 1");
  return ident[4] == 1 ? kElf32 : kElf64;
}

ElfHeader parse_elf_header(ByteView bytes, const ElfClass& elf) {
  ByteReader reader(bytes, "ELF header");
  reader.take(16 + 2 + 2);  // identification, type, machine
  if (reader.le(4) != 1) throw bad_elf("another version than 1");
  ElfHeader out;
  reader.take(elf.word);  // entry
  out.program_at = reader.le(elf.word);
  out.section_at = reader.le(elf.word);
  reader.take(4);  // flags
  if (reader.le(2) != elf.header) throw bad_elf("its header has another size than its class");
  const std::uint64_t program_size = reader.le(2);
  out.program_count = reader.le(2);
  const std::uint64_t section_size = reader.le(2);
  out.section_count = reader.le(2);
  out.names = reader.le(2);
  if (out.section_count == 0 || out.section_count > kMaxElfHeaders || out.program_count > kMaxElfHeaders)
    throw bad_elf("no section headers, or more headers than 4096");
  if (section_size != elf.section_header || (out.program_count > 0 && program_size != elf.program_header))
    throw bad_elf("its section or program headers have another size than its class");
  if (out.names == 0 || out.names >= out.section_count) throw bad_elf("it has no section name table");
  return out;
}

struct SectionHeader {
  std::uint64_t name = 0, type = 0, link = 0;
  Extent bytes;
};

std::vector<SectionHeader> parse_section_headers(ByteView bytes, const ElfClass& elf, std::uint64_t count) {
  std::vector<SectionHeader> out;
  ByteReader reader(bytes, "ELF section headers");
  for (std::uint64_t i = 0; i < count; ++i) {
    SectionHeader section;
    section.name = reader.le(4);
    section.type = reader.le(4);
    reader.take(elf.word + elf.word);  // flags, address
    section.bytes.first = reader.le(elf.word);
    section.bytes.size = reader.le(elf.word);
    section.link = reader.le(4);
    reader.take(4 + elf.word + elf.word);  // info, alignment, entry size
    if (section.type == kSectionNull || section.type == kSectionNoBits || section.bytes.size == 0)
      section.bytes = {};
    out.push_back(section);
  }
  return out;
}

std::string name_in(ByteView table, std::uint64_t at, const std::string& what) {
  if (at >= table.size()) throw bad_elf("the name of " + what + " lies outside the name table");
  const ByteView rest = table.subspan(at, std::min<std::uint64_t>(table.size() - at, kMaxSectionName + 1));
  const auto end = std::ranges::find(rest, 0);
  if (end == rest.end()) throw bad_elf("the name of " + what + " has no end within 255 bytes");
  return {rest.begin(), end};
}

void refuse_shared_bytes(const ElfFile& elf) {
  std::vector<Extent> all{elf.header, elf.program_headers, elf.section_headers};
  for (const ElfSection& section : elf.sections) all.push_back(section.bytes);
  std::erase_if(all, [](const Extent& extent) { return extent.size == 0; });
  std::ranges::sort(all, {}, &Extent::first);
  for (std::size_t i = 1; i < all.size(); ++i)
    if (all[i].first < all[i - 1].end()) throw bad_elf("two of its parts share bytes");
}

}  // namespace

bool is_elf(const Fd& file, std::uint64_t begin, std::uint64_t size) {
  if (size < kElfMagic.size()) return false;
  Bytes magic(kElfMagic.size());
  read_exact(file, magic, begin);
  return text_view(magic) == kElfMagic;
}

ElfFile read_elf(const Fd& file, std::uint64_t begin, std::uint64_t size) {
  const ElfWindow window{file, begin, size};
  if (size < kShortest) throw bad_elf("shorter than its header");
  const Bytes start = window.read({0, kShortest});
  const ElfClass& elf = class_of(start);
  ElfFile out;
  out.header = {0, elf.header};
  window.check(out.header, "its header");
  const ElfHeader header = parse_elf_header(window.read(out.header), elf);
  if (header.program_count > 0)
    out.program_headers = {header.program_at, header.program_count * elf.program_header};
  out.section_headers = {header.section_at, header.section_count * elf.section_header};
  window.check(out.program_headers, "the table of program headers");
  window.check(out.section_headers, "the table of section headers");
  const auto sections = parse_section_headers(window.read(out.section_headers), elf, header.section_count);
  for (std::size_t i = 0; i < sections.size(); ++i)
    window.check(sections[i].bytes, "section " + std::to_string(i));
  out.names = static_cast<std::size_t>(header.names);
  const SectionHeader& names = sections[out.names];
  if (names.type != kSectionStrings || names.bytes.size == 0 || names.bytes.size > kMaxElfNames)
    throw bad_elf("its section name table is no string table, is empty, or is larger than 1 MiB");
  const Bytes table = window.read(names.bytes);
  for (std::size_t i = 0; i < sections.size(); ++i) {
    out.sections.push_back(
        {name_in(table, sections[i].name, "section " + std::to_string(i)), sections[i].bytes});
    const bool symbols = sections[i].type == kSectionSymbols || sections[i].type == kSectionDynamicSymbols;
    out.names_are_shared = out.names_are_shared || (symbols && sections[i].link == header.names);
  }
  refuse_shared_bytes(out);
  return out;
}

}  // namespace qpcseal::qpc
