// Loading: what a card does with a container before it runs a model.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "attest/device/card.h"
#include "base/file.h"

namespace qpcseal::device {

struct Loaded {
  std::string model_name;
  std::uint64_t model_version = 0;
  std::size_t segments = 0;
  std::uint64_t bytes = 0;  // of plain segments
  double seconds = 0;
};

// Layout, signature (where the card has the seal key), unwrap, tag, every digest, every chunk; then, with
// `out`, the plain QPC, which appears only when all of it is right. Error{Denied} names what was not.
Loaded load(const std::filesystem::path& path, const Card& card,
            const std::optional<std::filesystem::path>& out, Existing existing);

}  // namespace qpcseal::device
