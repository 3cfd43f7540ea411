// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/reader.h"

#include <algorithm>

#include "base/error.h"

namespace qpcseal::seal {

namespace {

// The fronts of the parts of seal.aead, which has a part for each sealed segment and nothing else.
std::vector<SegmentHeader> headers_in(const Fd& file, const SealedContainer& container,
                                      const Manifest& manifest) {
  const qpc::Segment& aead = container.layout().segments[container.own()];
  std::vector<SegmentHeader> out;
  std::uint64_t at = 0;
  for (const ManifestSegment& listed : manifest.segments) {
    if (listed.kind != SegmentKind::Sealed) continue;
    Bytes front(std::min<std::uint64_t>(kMaxFront, aead.size - at));
    read_exact(file, front, container.begin() + aead.data_position + at);
    SegmentHeader header = parse_front(front);
    if (header.size != listed.size || header.clear != listed.clear || header.mek_id != manifest.mek_id ||
        header.seal_id != manifest.seal_id)
      refuse_sealed("seal.aead has another '" + listed.name + "' than the manifest");
    if (header.part_size() > aead.size - at) refuse_sealed("seal.aead is too short for its segments");
    at += header.part_size();
    out.push_back(std::move(header));
  }
  if (at != aead.size) refuse_sealed("seal.aead has more than the parts of its segments");
  return out;
}

SealedNode node_of(const Fd& file, std::string segment, SealedContainer container) {
  Manifest manifest = parse_manifest(container.manifest());
  const auto& rows = container.layout().segments;
  if (manifest.segments.size() + kAddedNames.size() != rows.size())
    refuse_sealed("its segments are not those of its manifest");
  for (std::size_t i = 0; i < manifest.segments.size(); ++i) {
    const ManifestSegment& listed = manifest.segments[i];
    if (listed.name != rows[i].name || listed.size != rows[i].size || listed.offset != rows[i].offset)
      refuse_sealed("segment '" + rows[i].name + "' is not as its manifest says");
  }
  std::vector<SegmentHeader> headers = headers_in(file, container, manifest);
  return {std::move(segment), std::move(container), std::move(manifest), std::move(headers)};
}

SealedNode inner_of(const Fd& file, const SealedNode& root, std::size_t row) {
  const ManifestSegment& listed = root.manifest.segments[row];
  const qpc::Segment& segment = root.container.layout().segments[row];
  SealedNode inner =
      node_of(file, listed.name,
              SealedContainer::read(file, root.container.begin() + segment.data_position, segment.size));
  if (sha256(inner.container.manifest()) != listed.digest) refuse_sealed("its manifest is another one");
  if (inner.manifest.root_seal_id != root.manifest.seal_id || inner.manifest.mek_id != root.manifest.mek_id)
    refuse_sealed("it is a part of another model");
  if (std::any_of(inner.manifest.segments.begin(), inner.manifest.segments.end(),
                  [](const ManifestSegment& s) { return s.kind == SegmentKind::Inner; }))
    refuse_sealed("an inner container that holds containers itself");
  return inner;
}

void check_partitions(const std::vector<SealedNode>& partitions) {
  for (std::size_t i = 0; i < partitions.size(); ++i)
    if (partitions[i].manifest.partition_index != i ||
        partitions[i].manifest.partition_count != partitions.size())
      refuse_sealed("its partitions are not numbered from 0 to " + std::to_string(partitions.size() - 1));
}

}  // namespace

SealedTree SealedTree::read(const Fd& file) {
  SealedTree out;
  out.root_ = node_of(file, {}, SealedContainer::read(file));
  const Manifest& manifest = out.root_.manifest;
  if (manifest.root_seal_id != manifest.seal_id || manifest.partition_index != 0 ||
      manifest.partition_count != 1)
    refuse_sealed("it is one partition of a model, taken out of it");
  for (std::size_t i = 0; i < manifest.segments.size(); ++i)
    if (manifest.segments[i].kind == SegmentKind::Inner)
      with_context("partition '" + manifest.segments[i].name + "'",
                   [&] { out.partitions_.push_back(inner_of(file, out.root_, i)); });
  std::sort(out.partitions_.begin(), out.partitions_.end(), [](const SealedNode& a, const SealedNode& b) {
    return a.manifest.partition_index < b.manifest.partition_index;
  });
  check_partitions(out.partitions_);
  if (!out.partitions_.empty() && out.root_.slots())
    refuse_sealed("its own MEK slots are in use, though it holds partitions");
  return out;
}

std::vector<const SealedNode*> SealedTree::loads() const {
  if (partitions_.empty()) return {&root_};
  std::vector<const SealedNode*> out;
  for (const SealedNode& partition : partitions_) out.push_back(&partition);
  return out;
}

}  // namespace qpcseal::seal
