// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/partitions.h"

#include <algorithm>
#include <optional>

#include "base/error.h"

namespace qpcseal::seal {

namespace {

std::vector<const qpc::Segment*> containers_in(const Fd& input, const qpc::Container& container) {
  std::vector<const qpc::Segment*> out;
  for (const qpc::Segment& segment : container.segments())
    if (qpc::is_qpc(input, segment.data_position, segment.size)) out.push_back(&segment);
  return out;
}

SealOptions options_for(const Partition& partition, const SealOptions& root, std::uint64_t index,
                        std::uint64_t count) {
  SealOptions options = root;
  options.segments = partition.segments;
  options.clear = partition.clear;
  options.inner.clear();
  options.root_seal_id = root.seal_id;
  options.seal_id.clear();
  options.partition_index = index;
  options.partition_count = count;
  return options;
}

// Progress over several containers, as one.
Progress shifted(const Progress& progress, std::uint64_t before, std::uint64_t total) {
  if (!progress) return {};
  return [progress, before, total](std::uint64_t done, std::uint64_t) { progress(before + done, total); };
}

std::uint64_t input_size(const qpc::Container& container) {
  std::uint64_t size = 0;
  for (const qpc::Segment& segment : container.segments()) size += segment.size;
  return size;
}

// Of the outer container and the inner ones, with their sizes; who is sealed under which id is not in it yet.
struct Plan {
  SealOptions root;
  std::vector<SealOptions> inner;
  Layout layout;
};

Plan plan_of(const qpc::Container& container, const std::vector<Partition>& partitions,
             const SealOptions& root) {
  Plan plan{root, {}, {}};
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    plan.inner.push_back(options_for(partitions[i], root, i, partitions.size()));
    const Layout inner = planned_layout(partitions[i].container, plan.inner[i]);
    plan.root.inner.push_back({partitions[i].name, inner.file_size, {}});
  }
  plan.layout = planned_layout(container, plan.root);
  return plan;
}

// The place in the list of the partition that this segment is; nothing: it is none.
std::optional<std::size_t> index_of(const std::vector<Partition>& partitions, const std::string& name) {
  const auto found = std::find_if(partitions.begin(), partitions.end(),
                                  [&](const Partition& partition) { return partition.name == name; });
  if (found == partitions.end()) return std::nullopt;
  return static_cast<std::size_t>(found - partitions.begin());
}

}  // namespace

std::vector<Partition> find_partitions(const Fd& input, const qpc::Container& container) {
  std::vector<Partition> out;
  for (const qpc::Segment* segment : containers_in(input, container))
    with_context("segment '" + segment->name + "'", [&] {
      Partition partition{
          segment->name, qpc::Container::read(input, segment->data_position, segment->size), {}, {}};
      check_plain(partition.container);
      if (!containers_in(input, partition.container).empty())
        throw Error(ErrorKind::Malformed, "an inner container that holds containers itself");
      out.push_back(std::move(partition));
    });
  if (out.size() > kMaxPartitions)
    throw Error(ErrorKind::Malformed, std::to_string(out.size()) + " partitions, at most 256 are sealed");
  return out;
}

std::uint64_t encryptions_needed(const qpc::Container& container, const std::vector<Partition>& partitions,
                                 const SealOptions& options) {
  std::uint64_t count = encryptions_needed(container, options);
  for (const Partition& partition : partitions)
    count += encryptions_needed(partition.container, options_for(partition, options, 0, 1));
  return count;
}

std::uint64_t sealed_size(const qpc::Container& container, const std::vector<Partition>& partitions,
                          const SealOptions& options) {
  return plan_of(container, partitions, options).layout.file_size;
}

NestedResult seal_nested(const Fd& input, const qpc::Container& container,
                         const std::vector<Partition>& partitions, const SealOptions& options, KeyHandle& key,
                         SealSigner& signer, Random& random, const Fd& output, const Progress& progress) {
  SealOptions with_id = options;
  with_id.seal_id = random.bytes(kIdSize);
  auto [root, inner, layout] = plan_of(container, partitions, with_id);
  const std::uint64_t total = input_size(container);
  std::uint64_t done = 0;
  NestedResult result;
  result.partitions.resize(partitions.size());
  // In row order: each is written behind all that was written before.
  for (const qpc::Segment& segment : layout.segments) {
    const auto index = index_of(partitions, segment.name);
    if (!index) continue;
    const Partition& partition = partitions[*index];
    inner[*index].begin = root.begin + segment.data_position;
    result.partitions[*index] = with_context("partition '" + partition.name + "'", [&] {
      return seal(input, partition.container, inner[*index], key, signer, random, output,
                  shifted(progress, done, total));
    });
    root.inner[*index].manifest_digest = result.partitions[*index].manifest_digest;
    done += partition.container.file_size();
  }
  result.root = seal(input, container, root, key, signer, random, output, shifted(progress, done, total));
  for (const SealResult& one : result.partitions) result.root.encryptions += one.encryptions;
  return result;
}

}  // namespace qpcseal::seal
