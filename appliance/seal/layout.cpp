// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/layout.h"

#include <algorithm>

#include "appliance/seal/manifest.h"
#include "base/error.h"

namespace qpcseal::seal {

namespace {

std::uint64_t align(std::uint64_t position) { return (position + kAlignment - 1) / kAlignment * kAlignment; }

bool is_zero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

// The bytes of one container in a file.
struct Window {
  const Fd& file;
  std::uint64_t begin = 0;

  [[nodiscard]] Bytes read(std::uint64_t from, std::uint64_t to) const {
    Bytes out(to - from);
    read_exact(file, out, begin + from);
    return out;
  }
  void check_zeros(std::uint64_t from, std::uint64_t to) const {
    if (to > from && !is_zero(read(from, to))) refuse_sealed("padding that is not zero");
  }
};

// The last seven names, in their order and of their sizes; returns the input's segments before them.
std::vector<qpc::Segment> split_off_added(const std::vector<qpc::Segment>& all) {
  if (all.size() < kAddedNames.size()) refuse_sealed("it lacks segments that sealing adds");
  const std::size_t own = all.size() - kAddedNames.size();
  for (std::size_t i = 0; i < kAddedNames.size(); ++i)
    if (all[own + i].name != kAddedNames[i] || all[own + i].offset != 0)
      refuse_sealed("the added segments are not in their order");
  if (all[own + 1].size > kMaxManifest) refuse_sealed("the manifest is too large");
  return {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(own)};
}

void compare_front(const Window& window, const Layout& layout) {
  const Bytes expected = qpc::encode_front(layout.segments, layout.file_size);
  if (!equal(window.read(0, expected.size()), expected))
    refuse_sealed("header, table or names are not where they must be");
  window.check_zeros(expected.size(), layout.slot_page);
}

// Between the pieces of data; the pieces lie in row order, the slots apart.
void check_padding(const Window& window, const Layout& layout) {
  std::uint64_t at = layout.slot_page + kPageSize;
  for (std::size_t i = 0; i + 3 < layout.segments.size(); ++i) {
    const qpc::Segment& segment = layout.segments[i];
    if (segment.size == 0) continue;
    window.check_zeros(at, segment.data_position);
    at = segment.data_position + segment.size;
  }
}

}  // namespace

void refuse_sealed(const std::string& why) {
  throw Error(ErrorKind::Malformed, "sealed container: " + why,
              "it was changed, or cut short, after it was sealed");
}

Layout plan_layout(std::vector<qpc::Segment> stored, std::uint64_t aead_size, std::uint64_t manifest_size) {
  Layout out;
  out.segments = std::move(stored);
  const std::array<std::uint64_t, kAddedNames.size()> sizes{
      aead_size, manifest_size, kTagSegmentSize, kSignatureSize, kSlotSize, kSlotSize, kSlotSize};
  for (std::size_t i = 0; i < kAddedNames.size(); ++i)
    out.segments.push_back({std::string(kAddedNames[i]), sizes[i], 0, 0});
  out.slot_page = align(qpc::front_size(out.segments));
  const std::size_t slots = out.segments.size() - 3;
  std::uint64_t end = out.slot_page + kPageSize;
  for (std::size_t i = 0; i < slots; ++i) {
    qpc::Segment& segment = out.segments[i];
    segment.data_position = align(end);
    if (segment.size == 0) continue;
    if (segment.size > UINT64_MAX / 4 || segment.data_position > UINT64_MAX / 4)
      refuse_sealed("sizes that no file has");
    end = segment.data_position + segment.size;
  }
  for (std::size_t i = 0; i < 3; ++i) out.segments[slots + i].data_position = out.slot_page + i * kSlotSize;
  out.file_size = end;
  return out;
}

Bytes SealedContainer::signature(const Fd& file) const {
  Bytes out(kSignatureSize);
  read_exact(file, out, begin_ + layout_.segments[layout_.segments.size() - 4].data_position);
  return out;
}

SealedContainer SealedContainer::read(const Fd& file) { return read(file, 0, file_size(file)); }

SealedContainer SealedContainer::read(const Fd& file, std::uint64_t begin, std::uint64_t size) {
  const qpc::Container container = qpc::Container::read(file, begin, size);
  if (!container.is_sealed())
    throw Error(ErrorKind::Malformed, "this QPC is not sealed", "seal it with 'qpcseal encrypt-model'");
  if (container.base() != 0) refuse_sealed("base is not 0");
  const std::vector<qpc::Segment> own = split_off_added(container.segments());
  const Window window{file, begin};
  SealedContainer out;
  out.begin_ = begin;
  out.layout_ =
      plan_layout(own, container.segments()[own.size()].size, container.segments()[own.size() + 1].size);
  if (out.layout_.file_size != container.file_size()) refuse_sealed("its size is not that of its segments");
  compare_front(window, out.layout_);
  check_padding(window, out.layout_);
  const qpc::Segment& manifest = out.layout_.segments[own.size() + 1];
  out.manifest_ = window.read(manifest.data_position, manifest.data_position + manifest.size);
  out.slot_page_ = window.read(out.layout_.slot_page, out.layout_.slot_page + kPageSize);
  return out;
}

}  // namespace qpcseal::seal
