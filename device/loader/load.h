// SPDX-License-Identifier: Apache-2.0
// Loading: what cards do with a container before they run a model.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "device/card/card.h"

namespace qpcseal::device {

// On one card.
struct LoadedPart {
  unsigned card = 0;
  std::string partition;  // its segment's name; empty: the model is of one part
  std::size_t segments = 0;
  std::uint64_t bytes = 0;  // of plain segments
};

struct Loaded {
  std::string model_name;
  std::uint64_t model_version = 0;
  std::vector<LoadedPart> parts;  // one a card
  double seconds = 0;
};

// Card i loads partition i. Each card checks the model's manifest and that of its partition: layout,
// signature (where it has the seal key), unwrap, tag, root, index and count; then every digest and chunk.
// With `out` the plain QPC, which appears only when all of it is right. Error{Denied} names what was not,
// Error{Usage} another number of cards than partitions, or a card twice.
Loaded load(const std::filesystem::path& path, std::span<const Card> cards,
            const std::optional<std::filesystem::path>& out, Existing existing);
// A model of one part.
inline Loaded load(const std::filesystem::path& path, const Card& card,
                   const std::optional<std::filesystem::path>& out, Existing existing) {
  return load(path, std::span<const Card>(&card, 1), out, existing);
}

}  // namespace qpcseal::device
