// SPDX-License-Identifier: Apache-2.0
// Where the parts of an ELF file lie (System V gABI, 32 and 64 bits, little endian): header, program headers,
// section headers, and sections with their names. Every field may lie. It reads headers and names and no
// content.
//
// What it returns lies inside the file, and no two ranges share a byte: what is one part is no other part
// too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"

namespace qpcseal::qpc {

inline constexpr std::uint64_t kMaxElfHeaders = 4096;     // section headers; program headers too
inline constexpr std::size_t kMaxSectionName = 255;       // bytes
inline constexpr std::uint64_t kMaxElfNames = 1U << 20U;  // bytes of the section name table

// Bytes of a file from `first` on; empty: nothing there.
struct Extent {
  std::uint64_t first = 0, size = 0;
  [[nodiscard]] std::uint64_t end() const { return first + size; }
  bool operator==(const Extent&) const = default;
};

struct ElfSection {
  std::string name;  // any bytes but NUL, maybe none
  Extent bytes;      // empty: it has none in the file
};

// Positions count from the ELF file's own first byte.
struct ElfFile {
  Extent header, program_headers, section_headers;
  std::vector<ElfSection> sections;  // in the order of their headers
  std::size_t names = 0;             // which of them is the section name table
  bool names_are_shared = false;     // a symbol table's names are in it too
};

// Whether the `size` bytes from `begin` start with the ELF magic.
bool is_elf(const Fd& file, std::uint64_t begin, std::uint64_t size);

// The ELF file in the `size` bytes from `begin` (both inside `file`). Error{Malformed} "ELF: ..." for one
// that breaks a rule of FORMAT.md section 2.1.1, Error{Io} when reading fails.
ElfFile read_elf(const Fd& file, std::uint64_t begin, std::uint64_t size);

}  // namespace qpcseal::qpc
