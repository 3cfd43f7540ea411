// SPDX-License-Identifier: Apache-2.0
// A sealed model as it lies in a file: the container, and the containers in it (FORMAT.md sections 2
// and 2.4). Layouts, manifests and the fronts in seal.aead are held against each other; no digest of data,
// tag or signature is checked.
#pragma once

#include <optional>

#include "appliance/seal/format.h"
#include "appliance/seal/layout.h"
#include "appliance/seal/manifest.h"
#include "appliance/seal/slots.h"

namespace qpcseal::seal {

struct SealedNode {
  std::string segment;  // its name in the outer container; empty: the outermost
  SealedContainer container;
  Manifest manifest;
  std::vector<SegmentHeader> headers;  // of the sealed segments, in row order

  [[nodiscard]] std::uint64_t slot_page() const {  // in the file
    return container.begin() + container.layout().slot_page;
  }
  // Nothing: unbound. Error{Malformed}.
  [[nodiscard]] std::optional<Slots> slots() const { return parse_slots(container.slot_page()); }
};

class SealedTree {
 public:
  // Error{Malformed} naming what does not fit.
  static SealedTree read(const Fd& file);

  [[nodiscard]] const SealedNode& root() const { return root_; }
  // In the order of their index; empty: the container stands alone.
  [[nodiscard]] const std::vector<SealedNode>& partitions() const { return partitions_; }
  // What cards load, one each, in their order: the partitions, or the container itself.
  [[nodiscard]] std::vector<const SealedNode*> loads() const;
  [[nodiscard]] std::uint64_t file_size() const { return root_.container.layout().file_size; }

 private:
  SealedNode root_;
  std::vector<SealedNode> partitions_;
};

}  // namespace qpcseal::seal
