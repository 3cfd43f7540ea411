// SPDX-License-Identifier: Apache-2.0
// A checkpoint (C2SP tlog-checkpoint): the size and root hash of the log, in a signed note.
//
//   <origin = key name> LF <size, decimal> LF <base64 root, 32 bytes> LF LF <signature lines>
//
// No extension lines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tlog/merkle.h"
#include "tlog/note.h"

namespace qpcseal::tlog {

inline constexpr std::size_t kMaxCheckpointSize = 8192;

struct Checkpoint {
  std::uint64_t size = 0;
  Hash root{};
  bool operator==(const Checkpoint&) const = default;
};

// Error{Token} where the signer's signature does not verify under `key`.
std::string sign_checkpoint(const Checkpoint& checkpoint, const VerifierKey& key, Signer& signer);
// Error{Malformed} for another shape, Error{LogDamaged} for a bad or missing signature or another origin.
Checkpoint open_checkpoint(std::string_view note, const VerifierKey& key);

// The text that was signed. Error{Malformed} for another shape.
struct CheckpointText {
  std::string origin;
  Checkpoint checkpoint;
};
CheckpointText parse_checkpoint(std::string_view text);

// What a note says of itself, nothing checked: to choose the entries and key to check it with.
std::string claimed_origin(std::string_view note);
std::uint64_t claimed_size(std::string_view note);

}  // namespace qpcseal::tlog
