// SPDX-License-Identifier: Apache-2.0
// A receipt of a verdict with all inputs of the verdict. Whoever has the log key computes the verdict again
// from it, without log, token or home. FORMAT.md section 6.7.
#pragma once

#include "appliance/audit/receipt.h"
#include "appliance/site/home.h"
#include "appliance/verdict/signatures.h"
#include "base/finding.h"

namespace qpcseal::verdict {

inline constexpr std::size_t kMaxBundle = std::size_t{32} << 20;  // bytes

// For a result of a release, "ok" or "denied", and for a denial of a report that did not verify; it was
// checked. Error{Usage} for another entry; Error{Io} where a part was not kept.
std::string make_bundle(const site::Home& home, const audit::LogCopy& log, std::uint64_t seq);

[[nodiscard]] bool is_bundle(std::string_view text);

// The verdict that was computed now. It equals the recorded one.
struct Recomputed {
  audit::Receipt receipt;
  bool allowed = false;      // of a denied release: this report passes, another one denied the transaction
  std::string device_class;  // where allowed
  Findings findings;         // where not
  std::uint64_t policy_serial = 0;
  UnixTime time = 0;  // as of which it was judged
  Signatures signatures;
};
// Error{Malformed}; Error{LogDamaged} where receipt or proofs do not hold, a part is not the one that the log
// names, officers' signatures do not verify, or the verdict is another one.
Recomputed check_bundle(std::string_view text, const tlog::VerifierKey& key);

}  // namespace qpcseal::verdict
