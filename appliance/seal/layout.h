// SPDX-License-Identifier: Apache-2.0
// Where things lie in a sealed container (FORMAT.md section 2): one layout for one list of segments.
//
//   header | table | names | zeros | slot page at 4096*k | data, each 4096-aligned: input's segments,
//   seal.aead, seal.manifest, seal.tag, seal.sig | end
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "qpc/container.h"

namespace qpcseal::seal {

inline constexpr std::uint64_t kAlignment = 4096;  // bytes
inline constexpr std::uint64_t kPageSize = 4096, kSlotSize = 1024;
inline constexpr std::size_t kTagSegmentSize = 60, kSignatureSize = 64;
inline constexpr std::array<std::string_view, 7> kAddedNames{
    "seal.aead", "seal.manifest", "seal.tag", "seal.sig", "MEK.encrypt", "MEK.nonce", "MEK.pub"};

// Positions count from the container's begin, which in a nested one is not the file's.
struct Layout {
  std::vector<qpc::Segment> segments;  // the input's, then the seven
  std::uint64_t slot_page = 0;
  std::uint64_t file_size = 0;
};

// Error{Malformed} "sealed container: `why`", with the hint that it was changed since.
[[noreturn]] void refuse_sealed(const std::string& why);

// `stored` holds name, size and offset of the input's segments; positions are computed.
Layout plan_layout(std::vector<qpc::Segment> stored, std::uint64_t aead_size, std::uint64_t manifest_size);

// Reads a sealed container and holds it to its layout: header, table, names, padding, slots; not the data
// itself. Error{Malformed} naming what differs.
class SealedContainer {
 public:
  static SealedContainer read(const Fd& file);
  // An inner container: `size` bytes from `begin`.
  static SealedContainer read(const Fd& file, std::uint64_t begin, std::uint64_t size);
  [[nodiscard]] std::uint64_t begin() const { return begin_; }  // in the file
  [[nodiscard]] const Layout& layout() const { return layout_; }
  [[nodiscard]] std::size_t own() const {
    return layout_.segments.size() - kAddedNames.size();
  }  // the input's
  [[nodiscard]] const Bytes& manifest() const { return manifest_; }  // the bytes, not verified
  [[nodiscard]] const Bytes& slot_page() const { return slot_page_; }
  // seal.sig, kSignatureSize bytes, not verified. `file`: the one that was read. Error{Io}.
  [[nodiscard]] Bytes signature(const Fd& file) const;

 private:
  std::uint64_t begin_ = 0;
  Layout layout_;
  Bytes manifest_, slot_page_;
};

}  // namespace qpcseal::seal
