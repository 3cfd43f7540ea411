// SPDX-License-Identifier: Apache-2.0
// A model in partitions: a container whose segments are containers, one for each card (FORMAT.md
// section 2.4). Each inner one is sealed where it will lie in the outer one, under the same MEK, with slots
// of its own.
#pragma once

#include "appliance/seal/sealer.h"

namespace qpcseal::seal {

inline constexpr std::size_t kMaxPartitions = 256;

struct Partition {
  std::string name;                          // its segment in the outer container
  qpc::Container container;                  // as it lies in the input
  std::vector<std::string> segments;         // of it, to be sealed
  std::map<std::string, ClearRanges> clear;  // of them, what stays readable
};

// The segments that are containers, in row order; `segments` and `clear` of each are empty. Error{Malformed}
// for one that starts as a container and is none, that may not be sealed, or that holds containers itself.
std::vector<Partition> find_partitions(const Fd& input, const qpc::Container& container);

struct NestedResult {
  SealResult root;                     // encryptions: of all
  std::vector<SealResult> partitions;  // as they were given
};

// Under the MEK, for all of it.
std::uint64_t encryptions_needed(const qpc::Container& container, const std::vector<Partition>& partitions,
                                 const SealOptions& options);

// Of the whole file, in bytes.
std::uint64_t sealed_size(const qpc::Container& container, const std::vector<Partition>& partitions,
                          const SealOptions& options);

// As seal(), for a container with these partitions; their place in the list is their index. Without any it is
// seal(). `options.segments` are those of the outer container itself, maybe none.
NestedResult seal_nested(const Fd& input, const qpc::Container& container,
                         const std::vector<Partition>& partitions, const SealOptions& options, KeyHandle& key,
                         SealSigner& signer, Random& random, const Fd& output, const Progress& progress = {});

}  // namespace qpcseal::seal
