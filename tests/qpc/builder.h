// SPDX-License-Identifier: Apache-2.0
// Containers for tests, laid out as compilers do it, and wrong in any one place by choice.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "qpc/container.h"

namespace qpcseal::testing {

struct QpcSegment {
  std::string name;
  Bytes data;
  std::uint64_t offset = 0;
};

enum class Flavour {
  Buffer,  // a stale heap address as base, every item 8-byte aligned
  File     // base 0, nothing aligned
};

inline constexpr std::uint64_t kHeap = 0x7fd92ad28010;

Bytes build_qpc(const std::vector<QpcSegment>& segments, Flavour flavour);

// The four usual segments, small.
std::vector<QpcSegment> usual_segments();

// Where things lie: header fields, and fields of row `row` of a container whose table follows the header.
inline constexpr std::size_t kMagicAt = 0, kMajorAt = 4, kMinorAt = 5, kCompressionAt = 6, kSizeAt = 8,
                             kBaseAt = 16, kCountAt = 24, kTableAt = 32;
constexpr std::size_t row_at(std::size_t row) { return qpc::kHeaderSize + row * qpc::kRowSize; }
constexpr std::size_t row_size_at(std::size_t row) { return row_at(row); }
constexpr std::size_t row_offset_at(std::size_t row) { return row_at(row) + 8; }
constexpr std::size_t row_name_at(std::size_t row) { return row_at(row) + 16; }
constexpr std::size_t row_data_at(std::size_t row) { return row_at(row) + 24; }

void put_le(Bytes& bytes, std::size_t at, std::uint64_t value, unsigned width = 8);
std::uint64_t get_le(const Bytes& bytes, std::size_t at, unsigned width = 8);

// Through a file without a name, as the reader wants one.
qpc::Container read_qpc(const Bytes& bytes);

}  // namespace qpcseal::testing
