// SPDX-License-Identifier: Apache-2.0
#include "device/loader/sample_elf.h"

#include <string_view>

namespace qpcseal::device {

namespace {

constexpr std::uint64_t kElfHeader = 64, kSectionHeader = 64, kSections = 4;  // bytes; how many
constexpr std::string_view kMetadata = "sample metadata, which a host reads before a card has the model";
constexpr std::string_view kNames("\0.text\0metadata_fb\0.shstrtab\0", 29);
constexpr unsigned kExecutable = 2, kHexagon = 164, kProgBits = 1, kStrTab = 3;

void append_fields(Bytes& out, std::initializer_list<std::pair<std::uint64_t, unsigned>> fields) {
  for (const auto& [value, width] : fields) append_le(out, value, width);
}

void append_section(Bytes& out, std::uint64_t name, std::uint64_t type, std::uint64_t at,
                    std::uint64_t size) {
  append_fields(out,
                {{name, 4}, {type, 4}, {0, 8}, {0, 8}, {at, 8}, {size, 8}, {0, 4}, {0, 4}, {1, 8}, {0, 8}});
}

}  // namespace

SampleElf sample_elf(std::uint64_t code_size) {
  const std::uint64_t code_at = kElfHeader + kMetadata.size(), names_at = code_at + code_size;
  SampleElf out;
  append(out.head, std::string_view("\x7f"
                                    "ELF\2\1\1",
                                    7));
  out.head.resize(16);
  append_fields(out.head, {{kExecutable, 2},
                           {kHexagon, 2},
                           {1, 4},
                           {0, 8},
                           {0, 8},
                           {names_at + kNames.size(), 8},
                           {0, 4},
                           {kElfHeader, 2},
                           {0, 2},
                           {0, 2},
                           {kSectionHeader, 2},
                           {kSections, 2},
                           {kSections - 1, 2}});
  append(out.head, kMetadata);
  append(out.tail, kNames);
  append_section(out.tail, 0, 0, 0, 0);
  append_section(out.tail, kNames.find(".text"), kProgBits, code_at, code_size);
  append_section(out.tail, kNames.find("metadata_fb"), kProgBits, kElfHeader, kMetadata.size());
  append_section(out.tail, kNames.find(".shstrtab"), kStrTab, names_at, kNames.size());
  return out;
}

}  // namespace qpcseal::device
