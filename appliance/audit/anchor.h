// SPDX-License-Identifier: Apache-2.0
// What the token remembers of the log, so that an older log put back whole is noticed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tlog/merkle.h"

namespace qpcseal::audit {

struct AnchorState {
  std::uint64_t size = 0;
  tlog::Hash root{};
  bool operator==(const AnchorState&) const = default;
};
// "12 <root in hex>", or "none".
inline std::string to_string(const std::optional<AnchorState>& anchor) {
  return anchor ? std::to_string(anchor->size) + " " + to_hex(anchor->root) : "none";
}

class Anchor {
 public:
  Anchor() = default;
  Anchor(const Anchor&) = delete;
  Anchor& operator=(const Anchor&) = delete;
  virtual ~Anchor() = default;
  virtual std::optional<AnchorState> read() = 0;
  virtual void write(const AnchorState& state) = 0;
};

}  // namespace qpcseal::audit
