// SPDX-License-Identifier: Apache-2.0
// ELF files for tests, of both classes, with places of their fields by name.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"

namespace qpcseal::testing {

struct ElfPart {
  std::string name;
  Bytes data;
  std::uint32_t type = 1;  // SHT_PROGBITS
};

// Header, program headers (`segments` of them, zeros), the parts' data, the name table, section headers: a
// null section, the parts, `.shstrtab`.
struct TestElf {
  Bytes bytes;
  bool wide = true;  // 64 bits
  std::uint64_t names_at = 0, names_size = 0, sections_at = 0;
  std::size_t sections = 0;
  std::vector<std::uint64_t> data_at;

  // Where the fields are.
  [[nodiscard]] std::size_t section(std::size_t index) const {
    return sections_at + index * (wide ? 64 : 40);
  }
  [[nodiscard]] std::size_t section_name(std::size_t index) const { return section(index); }
  [[nodiscard]] std::size_t section_type(std::size_t index) const { return section(index) + 4; }
  [[nodiscard]] std::size_t section_offset(std::size_t index) const {
    return section(index) + (wide ? 24 : 16);
  }
  [[nodiscard]] std::size_t section_size(std::size_t index) const {
    return section(index) + (wide ? 32 : 20);
  }
  [[nodiscard]] std::size_t section_link(std::size_t index) const {
    return section(index) + (wide ? 40 : 24);
  }
  [[nodiscard]] unsigned word() const { return wide ? 8 : 4; }
  [[nodiscard]] std::size_t program_offset() const { return wide ? 32 : 28; }
  [[nodiscard]] std::size_t section_table() const { return wide ? 40 : 32; }
  [[nodiscard]] std::size_t header_size() const { return wide ? 52 : 40; }
  [[nodiscard]] std::size_t program_size() const { return header_size() + 2; }
  [[nodiscard]] std::size_t program_count() const { return header_size() + 4; }
  [[nodiscard]] std::size_t section_entry() const { return header_size() + 6; }
  [[nodiscard]] std::size_t section_count() const { return header_size() + 8; }
  [[nodiscard]] std::size_t names_index() const { return header_size() + 10; }
};

TestElf build_elf(const std::vector<ElfPart>& parts, bool wide = true, unsigned segments = 0);

}  // namespace qpcseal::testing
