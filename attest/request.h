// SPDX-License-Identifier: Apache-2.0
// The attestation request (FORMAT.md section 4): what the appliance asks, the courier carries and the card
// answers.
#pragma once

#include <optional>
#include <vector>

#include "attest/session_key.h"
#include "base/bytes.h"
#include "base/clock.h"

namespace qpcseal::attest {

struct Request {
  Bytes aud;                  // 16 bytes
  Bytes nonce;                // 32 bytes
  Bytes mek_id;               // 16 bytes
  std::optional<Bytes> ueid;  // 7 to 33 bytes, where one card is meant
  UnixTime expiry = 0;
  std::vector<SessionKeyType> key_types;  // in order of preference, one or more, none twice

  bool operator==(const Request&) const = default;
};

// Throws Error{Internal} for a request that parse_request would refuse.
Bytes encode_request(const Request& request);
// Throws Error{Malformed}.
Request parse_request(ByteView bytes);

}  // namespace qpcseal::attest
