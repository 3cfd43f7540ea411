// SPDX-License-Identifier: Apache-2.0
// Attestation requests. Each challenge is in the log before its request leaves.
#pragma once

#include <map>

#include "appliance/site/appliance.h"
#include "attest/request.h"

namespace qpcseal::release {

struct ChallengeOptions {
  std::optional<Bytes> ueid;            // one card by identity
  std::string host;                     // travels beside the request, for the courier
  std::optional<std::uint64_t> device;  // number on that host
};

// Makes one request for each, all logged with one checkpoint. Error{Denied} where the policy has expired or
// has no rule for the MEK, or token and policy have no session key type in common.
std::vector<attest::Request> make_requests(site::Appliance& appliance, const keys::Mek& mek,
                                           const std::vector<ChallengeOptions>& wishes);

// Of a denial: the command that makes a new request for `mek`, where a finding is about the challenge (used,
// expired, not of this appliance); else empty.
std::string new_request_hint(const Findings& findings, const std::string& mek);
// "its challenge was used up by log entry 12, of 2026-11-24T08:30:00Z", by nonce, of those that were. Reads
// the log once for all of them.
std::map<Bytes, std::string> uses_of_challenges(const site::Home& home, const audit::State& state,
                                                const std::vector<Bytes>& nonces);

}  // namespace qpcseal::release
