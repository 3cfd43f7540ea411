// SPDX-License-Identifier: Apache-2.0
// What a simulated card says, and its evidence in scheme `eat-card` (FORMAT.md section 5).
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "attest/request.h"
#include "device/card/card_store.h"

namespace qpcseal::device {

// Lies for tests of the appliance: each makes evidence that must be refused, for one reason.
enum class Fault {
  BadNonce,            // a nonce that nobody asked for
  MissingMeasurement,  // the last one is left out
  ExtraMeasurement,    // one that no policy knows
  Debug,               // debugging enabled
  OffCurveKey,         // a session key that is no point of its curve
  WeakRsa,             // a session key of RSA with 1024 bits
  UnknownRoot,         // a good signature under a root that nobody pinned
  WrongAud,            // meant for another appliance
};
// "bad-nonce", "missing-measurement", ...
std::span<const std::string_view> fault_names();
std::optional<Fault> parse_fault(std::string_view name);

struct Statement {
  CardConfig config;
  Bytes aud, nonce, bootseed;
  Bytes cose_key;  // the session key, encoded
  CardIdentity identity;
};

Statement make_statement(const CardConfig& config, const BootState& boot, CardIdentity identity,
                         const attest::Request& request);
void inject_fault(Statement& statement, Fault fault, UnixTime now);
// COSE_Sign1 by the device key.
Bytes encode_evidence(const Statement& statement);

}  // namespace qpcseal::device
