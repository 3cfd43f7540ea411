// SPDX-License-Identifier: Apache-2.0
// The partitions of a model that spans cards, in the order of the cards.
#pragma once

#include <string_view>
#include <vector>

#include "appliance/seal/partitions.h"

namespace qpcseal::models {

inline constexpr const char* kPartitionInfo = "mdp_meta_info";

enum class PartitionOrder {
  Metadata,   // as the segment mdp_meta_info names them
  Container,  // as they lie in the container
  Slices,     // as their names count: X_slice00, X_slice01, ...
};

// Empty for a model of one part. Error{Malformed} where mdp_meta_info, or the names, do not give the order.
std::vector<seal::Partition> read_partitions(const Fd& input, const qpc::Container& container,
                                             PartitionOrder order);

// The names in the order of the one JSON array that lists all of them: each element is one of them, or an
// object with exactly one member whose value is one of them; no name is repeated. The vendor does not publish
// the layout of mdp_meta_info, so anything else gives nothing.
std::vector<std::string> order_in_json(std::string_view text, const std::vector<std::string>& names);

// The names in the order of their numbers: each is X_sliceNN with one X for all and as many digits, from 0
// without a gap. Anything else gives nothing.
std::vector<std::string> order_of_slices(const std::vector<std::string>& names);

}  // namespace qpcseal::models
