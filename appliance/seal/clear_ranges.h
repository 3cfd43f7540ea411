// SPDX-License-Identifier: Apache-2.0
// The bytes of a sealed segment that stay as they are (FORMAT.md section 2.1): sorted ranges, not empty, with
// at least one sealed byte between two, inside the segment. Positions count from the segment's first byte.
#pragma once

#include <vector>

#include "base/bytes.h"
#include "qpc/elf.h"

namespace qpcseal::seal {

using ClearRanges = std::vector<qpc::Extent>;

inline constexpr std::size_t kMaxClearRanges = 64;         // of a segment
inline constexpr std::size_t kMaxClearRangesInAll = 1024;  // of a container

// Whether they are as above for a segment of `size` bytes, at most kMaxClearRanges, and leave a byte to seal.
bool are_well_formed(const ClearRanges& ranges, std::uint64_t size);

// Any extents, as ranges: empty ones left out, those that touch or overlap made one.
ClearRanges merged(std::vector<qpc::Extent> extents);

// How many of the bytes are sealed.
std::uint64_t sealed_bytes(const ClearRanges& ranges, const qpc::Extent& window);

// The sealed bytes of `window`, which begins at `first` in the segment.
Bytes gather_sealed(const ClearRanges& ranges, std::uint64_t first, ByteView window);
// Puts `sealed` where gather_sealed took them from. Error{Internal} where they are not as many.
void scatter_sealed(const ClearRanges& ranges, std::uint64_t first, ByteView sealed, MutableBytes window);

}  // namespace qpcseal::seal
