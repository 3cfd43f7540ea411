// SPDX-License-Identifier: Apache-2.0
// Attestation requests. Each challenge is in the log before its request leaves.
#pragma once

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

}  // namespace qpcseal::release
