// SPDX-License-Identifier: Apache-2.0
// The QPC container (FORMAT.md section 1): a header, a table of segments, names and data, all behind absolute
// pointers. Reads only header, table and names; every field may lie.
//
//   0 magic u32le | 4 major u8 | 5 minor u8 | 6 compression u16 | 8 size u64 | 16 base u64 | 24 count u64 |
//   32 table u64 row: size u64 | offset u64 | name pointer u64 | data pointer u64
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/file.h"

namespace qpcseal::qpc {

inline constexpr std::uint32_t kMagic = 0x00A1CD7C;
inline constexpr std::size_t kHeaderSize = 40, kRowSize = 32;  // bytes
inline constexpr std::uint64_t kMaxSegments = 4096;
inline constexpr std::size_t kMaxName = 255;  // bytes, without the NUL
inline constexpr std::string_view kConstants = "constants.bin";

struct Segment {
  std::string name;
  std::uint64_t size = 0;           // bytes
  std::uint64_t offset = 0;         // the table's `offset` field; of constants.bin at most its size
  std::uint64_t data_position = 0;  // in the file, whatever the container's own begin
};

class Container {
 public:
  // Throws Error{Malformed} naming the field that lies, Error{Io} when reading fails.
  static Container read(const Fd& file);
  // One that lies inside the file, in `size` bytes from `begin` (both inside it): its pointers count from
  // there.
  static Container read(const Fd& file, std::uint64_t begin, std::uint64_t size);

  [[nodiscard]] const std::vector<Segment>& segments() const { return segments_; }
  [[nodiscard]] const Segment* find(std::string_view name) const;  // null when absent
  [[nodiscard]] std::uint64_t begin() const { return begin_; }     // in the file
  [[nodiscard]] std::uint64_t file_size() const { return size_; }
  [[nodiscard]] std::uint64_t base() const { return base_; }
  // Has a segment `seal.manifest`.
  [[nodiscard]] bool is_sealed() const { return find("seal.manifest") != nullptr; }

 private:
  std::uint64_t begin_ = 0, size_ = 0, base_ = 0;
  std::vector<Segment> segments_;
};

// Whether the `size` bytes from `begin` start with the magic: a segment that does is a container itself.
bool is_qpc(const Fd& file, std::uint64_t begin, std::uint64_t size);

// Whether the name belongs to the sealed format: starts with "seal." or "MEK.".
bool is_reserved_name(std::string_view name);

// Header, table and names of a container with base 0 whose segments lie at their data_position; names follow
// the table directly. `file_size` is written as the header's size.
Bytes encode_front(const std::vector<Segment>& segments, std::uint64_t file_size);
// Size of what encode_front makes.
std::uint64_t front_size(const std::vector<Segment>& segments);
// Places data one after the other behind the front, unaligned, in order; returns the file's size. This is the
// flavour that compilers write when they build from files.
std::uint64_t place_unaligned(std::vector<Segment>& segments);

}  // namespace qpcseal::qpc
