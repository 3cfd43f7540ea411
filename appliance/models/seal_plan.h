// SPDX-License-Identifier: Apache-2.0
// What sealing a model will do, known and judged before a byte is written: which segments, what of them stays
// readable, how many encryptions.
#pragma once

#include "appliance/models/seal_model_options.h"
#include "appliance/seal/partitions.h"
#include "base/file_digest.h"

namespace qpcseal::models {

struct SealPlan {
  const Fd& input;
  const qpc::Container& container;
  std::vector<seal::Partition> partitions;
  seal::SealOptions options;
  std::vector<ReadablePart> readable;
  FileMark mark = file_mark(input);  // of the input as it was planned

  [[nodiscard]] std::size_t parts() const { return std::max<std::size_t>(1, partitions.size()); }
  [[nodiscard]] std::uint64_t encryptions() const {
    return seal::encryptions_needed(container, partitions, options);
  }
  [[nodiscard]] std::uint64_t size() const { return seal::sealed_size(container, partitions, options); }
  // In a partition as PARTITION/SEGMENT.
  [[nodiscard]] std::vector<std::string> sealed_segments() const;
};

// Error{Malformed} for a model that no card can load (unless `options.incomplete`), Error{Denied} with
// findings where the policy does not allow it, Error{Usage} for a name that no model has. Of a set, the
// models before it take `encryptions_before`, which the log does not count yet.
SealPlan plan_sealing(const site::Appliance& appliance, const keys::Mek& mek, const SealModelOptions& options,
                      const Fd& input, const qpc::Container& container, std::uint64_t encryptions_before = 0);

}  // namespace qpcseal::models
