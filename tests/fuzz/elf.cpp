// SPDX-License-Identifier: Apache-2.0
// Any bytes as a segment that may be an ELF file: what stays readable is well formed, and what is no section
// that was asked for stays sealed.
#include <sys/mman.h>
#include <unistd.h>

#include "appliance/seal/host_readable.h"
#include "tests/fuzz/fuzz.h"

using namespace qpcseal;

namespace {

bool holds(const seal::ClearRanges& ranges, const qpc::Extent& extent) {
  return seal::sealed_bytes(ranges, extent) == 0;
}

void check(const qpc::ElfFile& elf, const seal::HostReadable& found, std::uint64_t size) {
  fuzz::require(seal::are_well_formed(found.clear, size), "ranges that are not well formed");
  fuzz::require(holds(found.clear, elf.header) && holds(found.clear, elf.section_headers),
                "headers are sealed");
  for (const qpc::ElfSection& section : elf.sections) {
    if (section.bytes.size == 0) continue;
    fuzz::require(section.bytes.end() <= size, "a section outside");
    const bool readable = section.name == "metadata" || section.name == "metadata_fb" ||
                          section.bytes == elf.sections[elf.names].bytes;
    if (readable) {
      fuzz::require(holds(found.clear, section.bytes), "a section that a host reads is sealed");
    } else {
      fuzz::require(seal::sealed_bytes(found.clear, section.bytes) == section.bytes.size,
                    "a section is readable");
    }
  }
}

}  // namespace

QPCSEAL_FUZZ_TARGET(input) {
  static const Fd file(memfd_create("fuzz", MFD_CLOEXEC));
  fuzz::require(ftruncate(file.get(), 0) == 0, "ftruncate");
  write_exact(file, input, 0);
  const seal::HostReadable found =
      seal::find_host_readable(file, {"network.elf", input.size(), 0, 0}, {"metadata_fb", "metadata"});
  fuzz::require(found.clear.empty() != found.why_not.empty(), "neither ranges nor a reason");
  fuzz::accepted([&] {
    const qpc::ElfFile elf = qpc::read_elf(file, 0, input.size());
    if (!found.clear.empty()) check(elf, found, input.size());
  });
}
