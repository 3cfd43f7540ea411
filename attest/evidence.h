// SPDX-License-Identifier: Apache-2.0
// What a card says about itself: the claims of an EAT (RFC 9711), as FORMAT.md section 5 lays them out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "attest/measurement.h"
#include "attest/session_key.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/finding.h"

namespace qpcseal::attest {

inline constexpr std::size_t kMinUeid = 7, kMaxUeid = 33;  // bytes (RFC 9711 section 4.2.1)

// A claim that a scheme's evidence does not have is left empty; the policy decides whether it may be.
struct Claims {
  Bytes aud;    // the appliance that asked: 16 bytes in scheme eat-card
  Bytes nonce;  // as long as the scheme allows
  Bytes ueid;   // kMinUeid to kMaxUeid bytes: which card
  std::optional<std::uint64_t> oemid;
  std::optional<Bytes> hwmodel;  // 1 to 32 bytes
  std::optional<HardwareVersion> hwversion;
  std::optional<bool> oemboot;
  unsigned dbgstat =
      0;  // 0 enabled, 1 disabled, 2 disabled since boot, 3 permanently, 4 fully and permanently
  std::string profile;
  Bytes bootseed;                     // 32 to 64 bytes
  std::optional<unsigned> lifecycle;  // 0 test, 1 development, 2 secured, 3 RMA
  std::optional<UnixTime> exp, iat;
  std::vector<Measurement> measurements;
  std::vector<Submodule> submods;
  std::optional<SessionKey> session_key;
  std::string session_key_fault;  // why there is none, e.g. "no public_key"
};

inline constexpr const char* kEatCardProfile = "tag:qpcseal.example,2026:eat-card/1";

// "test", "development", "secured", "rma".
std::string lifecycle_name(unsigned lifecycle);

// Reads the claim set of scheme `eat-card`. Every claim that is missing, of another type or out of range, and
// every unknown key, becomes a finding with an id of its own (ATT-UEID, ATT-DBGSTAT, ..., ATT-UNKNOWN-CLAIM);
// what is not CBOR to the rules is ATT-CBOR. No claims come back where there is any finding.
std::optional<Claims> parse_claims(ByteView payload, Findings& findings);

}  // namespace qpcseal::attest
