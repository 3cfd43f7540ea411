// SPDX-License-Identifier: Apache-2.0
// The wrap of an allowed release, and the data of its log entries.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "appliance/release/candidate.h"
#include "appliance/seal/slots.h"
#include "appliance/site/pending_wraps.h"

namespace qpcseal::release {

// One MEK, wrapped to one card.
struct Grant {
  std::string report;  // the file it came in
  Sha256Digest report_digest{};
  attest::Claims claims;
  std::string device_class;
  attest::CrlNumbers crls;                     // the revocation lists that were looked at
  policy::TrustVector trust;                   // the card's appraisal: affirming throughout
  std::vector<policy::SvnFloor> svn_minimums;  // what the release demanded
  std::string host;                            // from the request; may be empty
  std::optional<std::uint64_t> device;         // number on that host
  keys::WrappedMek wrapped;                    // empty where the vendor's tool got the key, and
  encoding::Json exposed;                      // else null: {"tool_sha256"}
  std::uint64_t entry = 0;  // of the result in the log: reserved by wrap(), there after commit()

  // "ecdh-x963-aeskw", ..., or "vendor".
  [[nodiscard]] std::string suite_name() const {
    return exposed.is_null() ? std::string(keys::to_string(wrapped.suite))
                             : std::string(policy::kVendorFormat);
  }
  [[nodiscard]] seal::Slots slots() const { return {wrapped.encrypt, wrapped.nonce, wrapped.pub}; }
};

// Wraps the MEK for each candidate, on all cores, with one session a core. Where the MEK was wrapped before,
// takes the home's copy. All candidates must be allowed. A candidate whose wrap fails gets a fault and is
// removed from `candidates`; Error{Token} where all fail.
std::vector<Grant> wrap_all(site::Appliance& appliance, const keys::Mek& mek,
                            std::vector<ReleaseItem*>& candidates, const site::PendingWraps& pending);
// Grants without a key yet, one a candidate.
std::vector<Grant> grants_for(const site::Appliance& appliance, const std::vector<ReleaseItem*>& candidates);
std::map<Sha256Digest, keys::WrappedMek> wraps_of(const std::vector<Grant>& grants);

// Of the entry between wrap and delivery.
encoding::Json wrapped_data(const keys::Mek& mek, const ReleaseItem& candidate, const Grant& grant);
// "denied", or "unknown" where a key was wrapped before.
audit::Outcome denied_outcome(const site::Appliance& appliance, const ReleaseItem& candidate);
audit::Outcome granted_outcome(const site::Appliance& appliance, const keys::Mek& mek,
                               const ReleaseItem& candidate, const Grant& grant, encoding::Json act);

}  // namespace qpcseal::release
