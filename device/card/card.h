// SPDX-License-Identifier: Apache-2.0
// A simulated card since its last boot: what its loader needs to open a sealed container. The state is files,
// so that each run of the program sees the card as the one before left it; see device/card/card_store.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "attest/session_key.h"
#include "base/bytes.h"
#include "base/openssl.h"

namespace qpcseal::device {

struct Card {
  unsigned number = 0;
  Bytes ueid;                          // 7 to 33 bytes
  KeyPtr session_key;                  // private; made at boot, gone at reset
  attest::SessionKey session_public;   // its public half, as evidence carries it
  std::vector<Bytes> answered_nonces;  // 32 bytes each: the requests answered since boot
  KeyPtr seal_key;  // the appliance's seal verification key; null where none was provisioned
  std::uint64_t minimum_model_version = 0;  // older models are refused
};

// Reads card `number` below `dir`. Throws Error{Io} when there is none, Error{Malformed} for damaged state.
Card open_card(const std::filesystem::path& dir, unsigned number);

}  // namespace qpcseal::device
