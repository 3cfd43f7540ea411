// SPDX-License-Identifier: Apache-2.0
// The appraisal of a card in the terms of AR4SI (draft-ietf-rats-ar4si, "Trustworthiness Claims").
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/finding.h"

namespace qpcseal::policy {

// Values of the draft. 2 to 31 affirm, 32 to 95 warn, 96 to 127 contraindicate; 0 and 1 claim nothing.
namespace ar4si {
inline constexpr int kNone = 0;           // the evidence is not enough to tell
inline constexpr int kUnexpected = 1;     // evidence of the wrong kind, or with parts that cannot be read
inline constexpr int kAffirming = 2;      // recognised, approved, genuine
inline constexpr int kVulnerable = 32;    // known, with known holes
inline constexpr int kUnrecognised = 33;  // executables: not all of them are known
inline constexpr int kUnavailable = 36;   // configuration: parts of it are not shown
inline constexpr int kContraindicated = 96;
inline constexpr int kNotRecognised = 97;  // hardware and instance identity: unknown, and should be known
inline constexpr int kNotAuthentic = 99;   // the cryptographic validation of the evidence failed
}  // namespace ar4si

struct TrustVector {
  int instance_identity = ar4si::kNone;
  int configuration = ar4si::kNone;
  int executables = ar4si::kNone;
  int hardware = ar4si::kNone;

  // All four are: what a release needs.
  [[nodiscard]] bool affirming() const;
  // In the draft's names and order, e.g. {"instance-identity", 2}.
  [[nodiscard]] std::vector<std::pair<std::string, int>> claims() const;
  bool operator==(const TrustVector&) const = default;
};

// "affirming", "warning", "contraindicated" or "none".
std::string tier_name(int value);

// The value of each claim, given the findings of attestation and of policy. A claim affirms only where a card
// was compared with a class of the policy (`appraised`) and no finding bears on it. A finding with an unknown
// id leaves none of the four affirming.
TrustVector appraise(const Findings& findings, bool appraised);

}  // namespace qpcseal::policy
