// SPDX-License-Identifier: Apache-2.0
#include "tests/qpc/elf_builder.h"

namespace qpcseal::testing {

namespace {

void add_section(Bytes& out, bool wide, std::uint64_t name, std::uint64_t type, std::uint64_t at,
                 std::uint64_t size) {
  const unsigned word = wide ? 8 : 4;
  append_le(out, name, 4);
  append_le(out, type, 4);
  append_le(out, 0, word);
  append_le(out, 0, word);
  append_le(out, at, word);
  append_le(out, size, word);
  append_le(out, 0, 4);
  append_le(out, 0, 4);
  append_le(out, 1, word);
  append_le(out, 0, word);
}

}  // namespace

TestElf build_elf(const std::vector<ElfPart>& parts, bool wide, unsigned segments) {
  TestElf elf;
  elf.wide = wide;
  elf.sections = parts.size() + 2;
  const std::uint64_t header = wide ? 64 : 52, program = wide ? 56 : 32;
  Bytes body(segments * program), names(1);
  std::vector<std::uint64_t> name_at;
  for (const ElfPart& part : parts) {
    name_at.push_back(names.size());
    append(names, part.name);
    names.push_back(0);
    elf.data_at.push_back(header + body.size());
    append(body, part.data);
  }
  name_at.push_back(names.size());
  append(names, ".shstrtab");
  names.push_back(0);
  elf.names_at = header + body.size();
  elf.names_size = names.size();
  append(body, names);
  elf.sections_at = header + body.size();
  Bytes& out = elf.bytes;
  out = {0x7f, 'E', 'L', 'F', static_cast<std::uint8_t>(wide ? 2 : 1), 1, 1};
  out.resize(16);
  const unsigned word = elf.word();
  for (const auto& [value, width] :
       std::vector<std::pair<std::uint64_t, unsigned>>{{2, 2},
                                                       {164, 2},
                                                       {1, 4},
                                                       {0, word},
                                                       {segments == 0 ? 0 : header, word},
                                                       {elf.sections_at, word},
                                                       {0, 4},
                                                       {header, 2},
                                                       {segments == 0 ? 0 : program, 2},
                                                       {segments, 2},
                                                       {wide ? 64 : 40, 2},
                                                       {elf.sections, 2},
                                                       {elf.sections - 1, 2}})
    append_le(out, value, width);
  append(out, body);
  add_section(out, wide, 0, 0, 0, 0);
  for (std::size_t i = 0; i < parts.size(); ++i)
    add_section(out, wide, name_at[i], parts[i].type, elf.data_at[i], parts[i].data.size());
  add_section(out, wide, name_at.back(), 3, elf.names_at, elf.names_size);
  return elf;
}

}  // namespace qpcseal::testing
