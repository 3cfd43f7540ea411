// SPDX-License-Identifier: Apache-2.0
// Checkpoints that somebody else has signed too (C2SP tlog-cosignature): a witness that saw this log at this
// size. Type 0x04 alone:
//
//   vkey text: <name>+<key id, 8 hex digits>+<base64(0x04 || Ed25519 key, 32 bytes)>
//   key id = SHA-256(name || 0x0A || 0x04 || key)[:4]
//   signature = u64be time || Ed25519 over "cosignature/v1" LF "time " <decimal> LF <the checkpoint's text>
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "tlog/checkpoint.h"

namespace qpcseal::tlog {

class WitnessKey {
 public:
  // Error{Malformed}.
  static WitnessKey parse(std::string_view vkey);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] const std::string& name() const { return ed25519_.name(); }
  [[nodiscard]] std::array<std::uint8_t, 4> id() const;
  [[nodiscard]] bool verify(ByteView message, ByteView signature) const {
    return ed25519_.verify(message, signature);
  }

 private:
  explicit WitnessKey(VerifierKey ed25519) : ed25519_(std::move(ed25519)) {}
  VerifierKey ed25519_;
};

struct Cosigned {
  std::string origin;
  Checkpoint checkpoint;
  UnixTime time = 0;  // as the witness says
};

// Signatures by other keys, the log's too, are passed over. Error{Malformed} for another shape,
// Error{LogDamaged} where `key` has no valid signature.
Cosigned open_cosigned(std::string_view note, const WitnessKey& key);

}  // namespace qpcseal::tlog
