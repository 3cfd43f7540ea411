// SPDX-License-Identifier: Apache-2.0
// A sealed container as the card reads it: the one layout that FORMAT.md section 2 allows, byte for byte.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/file.h"
#include "device/loader/crypto.h"
#include "qpc/container.h"

namespace qpcseal::device {

enum class Kind : unsigned { Clear = 0, SealedContainer = 1, Inner = 2 };

// Bytes of a sealed segment that are clear, from `first` on.
struct Gap {
  std::uint64_t first = 0, length = 0;
  bool operator==(const Gap&) const = default;
};

struct ManifestEntry {
  std::string name;
  std::uint64_t size = 0, offset = 0, position = 0;
  Kind kind = Kind::Clear;
  Sha256Digest digest{};
  std::vector<Gap> gaps;  // in order, as FORMAT.md section 2.1 has them
};

struct SealedContainer {
  std::string segment;                  // its name in the root, where it is a partition
  std::uint64_t begin = 0;              // of the container in the file
  std::vector<ManifestEntry> segments;  // the input's, in order; their positions are the file's
  Bytes mek_id, seal_id, root_seal_id;
  std::uint64_t partition_index = 0, partition_count = 1;
  std::string model_name;
  std::uint64_t model_version = 0;
  Bytes aead, manifest, tag, signature;
  std::optional<Wrapped> wrapped;  // nothing: unbound
};

// Error{Malformed} for what is no sealed QPC; Error{Denied} for one whose layout, slots or manifest are not
// as they must be.
SealedContainer read_sealed(const Fd& file, std::uint64_t begin, std::uint64_t size);

// A model: a container, and the containers in it, one for each card, by their index.
struct SealedModel {
  SealedContainer root;
  std::vector<SealedContainer> partitions;  // none: it stands alone
};
// As above, and the partitions are those of the root's manifest, all of them, and of no other model.
SealedModel read_model(const Fd& file);

}  // namespace qpcseal::device
