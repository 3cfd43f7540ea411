// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/host_readable.h"

#include <algorithm>

#include "base/error.h"

namespace qpcseal::seal {

namespace {

HostReadable sealed_whole(std::string why) { return {{}, {}, false, std::move(why)}; }

HostReadable ranges_of(const qpc::ElfFile& elf, const std::vector<std::string>& wanted) {
  HostReadable out;
  out.symbol_names = elf.names_are_shared;
  std::vector<qpc::Extent> extents{elf.header, elf.program_headers, elf.section_headers,
                                   elf.sections[elf.names].bytes};
  for (const qpc::ElfSection& section : elf.sections) {
    const bool listed = std::ranges::find(wanted, section.name) != wanted.end();
    if (!listed || section.bytes.size == 0) continue;
    extents.push_back(section.bytes);
    out.sections.push_back(section.name);
  }
  out.clear = merged(std::move(extents));
  return out;
}

}  // namespace

HostReadable find_host_readable(const Fd& input, const qpc::Segment& segment,
                                const std::vector<std::string>& sections) {
  if (!qpc::is_elf(input, segment.data_position, segment.size)) return sealed_whole("it is no ELF file");
  try {
    HostReadable out = ranges_of(qpc::read_elf(input, segment.data_position, segment.size), sections);
    if (out.sections.empty()) return sealed_whole("it has none of the sections that a host reads");
    if (out.clear.size() > kMaxClearRanges)
      return sealed_whole("more than 64 ranges of it would stay readable");
    if (!are_well_formed(out.clear, segment.size)) return sealed_whole("nothing of it would be sealed");
    return out;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed) throw;
    return sealed_whole(error.what());
  }
}

}  // namespace qpcseal::seal
