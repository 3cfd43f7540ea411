// SPDX-License-Identifier: Apache-2.0
#include "attest/evidence.h"

#include "attest/scheme.h"
#include "tests/fuzz/fuzz.h"

using namespace qpcseal;

namespace {
void check(const std::optional<attest::Claims>& claims, const Findings& findings) {
  fuzz::require(claims.has_value() == findings.empty(), "claims with findings, or neither");
}
}  // namespace

// The same bytes as a report of each scheme and as a bare claim set. verify() has no root to trust, so it
// must find fault.
QPCSEAL_FUZZ_TARGET(input) {
  static const auto schemes = attest::all_schemes();
  for (const auto& scheme : schemes) {
    const attest::Evidence verified = scheme->verify(input, {});
    fuzz::require(!verified.claims && !verified.findings.empty(), "verified without a root");
    const attest::Evidence seen = scheme->inspect(input);
    check(seen.claims, seen.findings);
  }
  Findings findings;
  const auto claims = attest::parse_claims(input, findings);
  check(claims, findings);
  fuzz::accepted([&] { attest::refuse_bare_key(input); });
}
