// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/made_from.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "appliance/seal/segment_digest.h"
#include "base/error.h"
#include "base/piece_digest.h"

namespace qpcseal::models {

namespace {

constexpr std::uint64_t kChunk = std::uint64_t{1} << seal::kDefaultChunkLog2;  // bytes

UnixTime changed(const Fd& file) {
  struct stat found{};
  if (fstat(file.get(), &found) != 0) throw_errno("fstat");
  return found.st_mtim.tv_sec;
}

Sha256Digest clear_digest(const Fd& input, const qpc::Segment& segment) {
  seal::SegmentDigest digest(segment.size);
  PieceDigester digester;
  Bytes buffer(kChunk);
  for (std::uint64_t at = 0; at < segment.size; at += kChunk) {
    const MutableBytes piece = MutableBytes(buffer).first(std::min(kChunk, segment.size - at));
    read_exact(input, piece, segment.data_position + at);
    digest.add(at / kChunk, digester.digests(piece));
  }
  return digest.finish({});
}

// One container and what the plan has for it.
struct Compared {
  const qpc::Container& container;
  const std::vector<std::string>& sealed;
  const std::map<std::string, seal::ClearRanges>& clear;
};

bool fits(const Fd& input, const Compared& plan, const seal::ManifestSegment& listed,
          const qpc::Segment& segment) {
  if (listed.name != segment.name || listed.offset != segment.offset) return false;
  if (listed.kind == seal::SegmentKind::Inner) return qpc::is_qpc(input, segment.data_position, segment.size);
  const bool wanted = std::ranges::find(plan.sealed, segment.name) != plan.sealed.end();
  if (listed.size != segment.size || wanted != (listed.kind == seal::SegmentKind::Sealed)) return false;
  if (!wanted) return listed.digest == clear_digest(input, segment);
  const auto clear = plan.clear.find(segment.name);
  return listed.clear == (clear == plan.clear.end() ? seal::ClearRanges{} : clear->second);
}

bool fits(const Fd& input, const Compared& plan, const seal::Manifest& manifest) {
  const auto& rows = plan.container.segments();
  if (rows.size() != manifest.segments.size()) return false;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (!fits(input, plan, manifest.segments[i], rows[i])) return false;
  return true;
}

bool fits(const SealPlan& plan, const seal::SealedTree& tree) {
  if (!fits(plan.input, {plan.container, plan.options.segments, plan.options.clear}, tree.root().manifest))
    return false;
  if (plan.partitions.size() != tree.partitions().size()) return false;
  for (std::size_t i = 0; i < plan.partitions.size(); ++i) {
    const seal::Partition& partition = plan.partitions[i];
    const seal::SealedNode& node = tree.partitions()[i];
    if (node.segment != partition.name ||
        !fits(plan.input, {partition.container, partition.segments, partition.clear}, node.manifest))
      return false;
  }
  return true;
}

}  // namespace

std::string differs_from_plan(const SealedFile& sealed, const SealPlan& plan, const Bytes& mek_id) {
  const seal::Manifest& manifest = sealed.tree.root().manifest;
  if (manifest.mek_id != mek_id) return "it is sealed under another MEK";
  if (manifest.model_name != plan.options.model_name || manifest.model_version != plan.options.model_version)
    return "it is of another model or version";
  if (changed(plan.input) > manifest.created) return "the input was changed after it was sealed";
  if (!fits(plan, sealed.tree)) return "its segments are not the input's";
  return {};
}

}  // namespace qpcseal::models
