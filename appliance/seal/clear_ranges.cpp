// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/clear_ranges.h"

#include <algorithm>

#include "base/error.h"

namespace qpcseal::seal {

namespace {

// What both have.
qpc::Extent common(const qpc::Extent& a, const qpc::Extent& b) {
  const std::uint64_t first = std::max(a.first, b.first), end = std::min(a.end(), b.end());
  return end > first ? qpc::Extent{first, end - first} : qpc::Extent{first, 0};
}

// The parts of `window` that lie in no range, in order.
std::vector<qpc::Extent> sealed_parts(const ClearRanges& ranges, const qpc::Extent& window) {
  std::vector<qpc::Extent> out;
  std::uint64_t at = window.first;
  for (const qpc::Extent& range : ranges) {
    const qpc::Extent clear = common(range, window);
    if (clear.size == 0) continue;
    if (clear.first > at) out.push_back({at, clear.first - at});
    at = clear.end();
  }
  if (window.end() > at) out.push_back({at, window.end() - at});
  return out;
}

}  // namespace

bool are_well_formed(const ClearRanges& ranges, std::uint64_t size) {
  if (ranges.size() > kMaxClearRanges) return false;
  std::uint64_t clear = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const qpc::Extent& range = ranges[i];
    if (range.size == 0 || range.first > size || range.size > size - range.first) return false;
    if (i > 0 && range.first <= ranges[i - 1].end()) return false;
    clear += range.size;
  }
  return clear < size;
}

ClearRanges merged(std::vector<qpc::Extent> extents) {
  std::erase_if(extents, [](const qpc::Extent& extent) { return extent.size == 0; });
  std::ranges::sort(extents, {}, &qpc::Extent::first);
  ClearRanges out;
  for (const qpc::Extent& extent : extents) {
    if (out.empty() || extent.first > out.back().end()) {
      out.push_back(extent);
    } else {
      out.back().size = std::max(out.back().end(), extent.end()) - out.back().first;
    }
  }
  return out;
}

std::uint64_t sealed_bytes(const ClearRanges& ranges, const qpc::Extent& window) {
  std::uint64_t clear = 0;
  for (const qpc::Extent& range : ranges) clear += common(range, window).size;
  return window.size - clear;
}

Bytes gather_sealed(const ClearRanges& ranges, std::uint64_t first, ByteView window) {
  Bytes out;
  for (const qpc::Extent& part : sealed_parts(ranges, {first, window.size()}))
    append(out, window.subspan(part.first - first, part.size));
  return out;
}

void scatter_sealed(const ClearRanges& ranges, std::uint64_t first, ByteView sealed, MutableBytes window) {
  for (const qpc::Extent& part : sealed_parts(ranges, {first, window.size()})) {
    if (part.size > sealed.size()) throw Error(ErrorKind::Internal, "fewer sealed bytes than there were");
    std::ranges::copy(sealed.first(part.size), window.subspan(part.first - first).begin());
    sealed = sealed.subspan(part.size);
  }
  if (!sealed.empty()) throw Error(ErrorKind::Internal, "more sealed bytes than there were");
}

}  // namespace qpcseal::seal
