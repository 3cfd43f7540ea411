// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/segment_plan.h"

#include <algorithm>

#include "appliance/seal/layout.h"
#include "base/error.h"

namespace qpcseal::seal {

namespace {

bool wants(const SealOptions& options, const std::string& name) {
  return std::find(options.segments.begin(), options.segments.end(), name) != options.segments.end();
}

const InnerSeal* inner_of(const SealOptions& options, const std::string& name) {
  const auto found = std::find_if(options.inner.begin(), options.inner.end(),
                                  [&](const InnerSeal& inner) { return inner.name == name; });
  return found == options.inner.end() ? nullptr : &*found;
}

}  // namespace

Part part_for(const qpc::Segment& segment, const SealOptions& options) {
  Part part;
  part.source = &segment;
  part.inner = inner_of(options, segment.name);
  part.sealed = part.inner == nullptr && wants(options, segment.name);
  part.header.mode = options.mode;
  part.header.chunk_log2 = options.chunk_log2;
  part.header.size = segment.size;
  const auto clear = options.clear.find(segment.name);
  if (part.sealed && clear != options.clear.end()) part.header.clear = clear->second;
  return part;
}

Manifest make_manifest(const SealOptions& options, const Bytes& seal_id, ByteView mek_id) {
  return {seal_id,
          copy(mek_id),
          options.created,
          options.model_name,
          options.model_version,
          options.root_seal_id.empty() ? seal_id : options.root_seal_id,
          options.partition_index,
          options.partition_count,
          {}};
}

ManifestSegment make_row(const Part& part, const Sha256Digest& digest) {
  return {part.source->name, part.size(), part.source->offset, part.kind(), digest, part.header.clear};
}

void check_wanted(const qpc::Container& container, const SealOptions& options) {
  for (const std::string& name : options.segments) {
    const qpc::Segment* segment = container.find(name);
    if (segment == nullptr || segment->size == 0)
      throw Error(ErrorKind::Malformed, "segment '" + name + "' is to be sealed but is " +
                                            (segment == nullptr ? "not there" : "empty"));
  }
  std::size_t ranges = 0;
  for (const auto& [name, clear] : options.clear) ranges += clear.size();
  if (ranges > kMaxClearRangesInAll)
    throw Error(ErrorKind::Malformed,
                std::to_string(ranges) + " ranges of it would stay readable, at most 1024 may",
                "a policy with elf = \"whole\" leaves none");
  if (options.segments.empty() && options.inner.empty())
    throw Error(ErrorKind::Malformed, "no segment to seal");
}

void check_plain(const qpc::Container& container) {
  if (container.is_sealed())
    throw Error(ErrorKind::Malformed, "this QPC is sealed already: it has a segment seal.manifest",
                "seal the plain QPC");
  constexpr std::uint64_t kMost = qpc::kMaxSegments - kAddedNames.size();
  if (container.segments().size() > kMost)
    throw Error(ErrorKind::Malformed, std::to_string(container.segments().size()) + " segments, at most " +
                                          std::to_string(kMost) + " can be sealed: sealing adds seven");
  for (const qpc::Segment& segment : container.segments())
    if (qpc::is_reserved_name(segment.name))
      throw Error(
          ErrorKind::Malformed,
          "segment '" + segment.name + "': names that begin with seal. or MEK. belong to the sealed format");
}

std::uint64_t encryptions_needed(const qpc::Container& container, const SealOptions& options) {
  std::uint64_t count = 1;  // the tag
  for (const qpc::Segment& segment : container.segments()) {
    const Part part = part_for(segment, options);
    if (part.sealed) count += options.mode == Mode::Token ? part.header.entries() : 1;
  }
  return count;
}

Layout planned_layout(const qpc::Container& container, const SealOptions& options) {
  Manifest manifest = make_manifest(options, Bytes(kIdSize), Bytes(kIdSize));
  std::vector<qpc::Segment> rows;
  std::uint64_t aead = 0;
  for (const qpc::Segment& segment : container.segments()) {
    const Part part = part_for(segment, options);
    rows.push_back({segment.name, part.size(), segment.offset, 0});
    manifest.segments.push_back(make_row(part, {}));
    aead += part.aead_size();
  }
  return plan_layout(std::move(rows), aead, encode_manifest(manifest).size());
}

}  // namespace qpcseal::seal
