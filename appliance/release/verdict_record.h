// SPDX-License-Identifier: Apache-2.0
// The data of entries that record a verdict, with its inputs beside report, policy, trust material and
// challenge. From them the verdict can be computed again years later and elsewhere. FORMAT.md section 6.1,
// "judged".
#pragma once

#include "appliance/release/verdict.h"

namespace qpcseal::release {

// Whether an entry is a verdict on a report: the result of a release, or the event of a report that does not
// verify.
[[nodiscard]] bool is_verdict(const audit::Entry& entry);
[[nodiscard]] bool is_unverified(const audit::Entry& entry);

// The members about card and verdict in the result of a release, "ok" and "denied".
encoding::Json granted_facts(const Verified& verified, const Verdict& verdict);
encoding::Json denied_facts(const Verified& verified, const Verdict& verdict);
// The data of the event for a report that does not verify.
encoding::Json unverified_facts(const Verified& verified);
// What the event for a report that verifies says of it, whose release is not begun because of `obstacle`.
encoding::Json refused_facts(const Verified& verified, const Findings& obstacle);

// `judged` of a report that did not verify: the time, and the trust material.
encoding::Json make_verdict_record(UnixTime verified_at, const trust::Trust& trust);
// `judged` of a report that verified.
encoding::Json make_verdict_record(const VerdictInputs& inputs, const policy::ChallengeFacts& challenge,
                                   const attest::Claims& claims, encoding::Json verified);

// When the report was verified, and which CRL numbers had been seen until then. Error{Malformed}.
UnixTime recorded_time(const encoding::Json& judged);
attest::CrlNumbers recorded_crl_floors(const encoding::Json& judged);

// The inputs of judge().
struct RecordedInputs {
  UnixTime now = 0;
  std::vector<keys::SuiteAbility> suites;
  std::uint64_t wanted = 0;
  std::string format{policy::kOwnFormat};
  audit::State state;  // with what counts, and nothing else
};
// `genesis`, `challenge`: these entries; the latter null where the log knew no such challenge.
// Error{Malformed}.
RecordedInputs parse_recorded_inputs(const encoding::Json& judged, const audit::Entry& genesis,
                                     const audit::Entry* challenge, const encoding::Json& intent);

}  // namespace qpcseal::release
