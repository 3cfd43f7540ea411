// SPDX-License-Identifier: Apache-2.0
// (Policy, facts) -> Decision: pure functions, and the only makers of a Decision that allows.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/finding.h"
#include "policy/appraisal.h"
#include "policy/facts.h"
#include "policy/policy.h"

namespace qpcseal::policy {

class Judge;  // in evaluate.cpp: the one class that can make a Decision that allows

class [[nodiscard]] Decision {
 public:
  [[nodiscard]] bool allowed() const { return allowed_; }
  // All reasons of a denial; empty where allowed.
  [[nodiscard]] const Findings& findings() const { return findings_; }
  // The device class that the card belongs to, where a release is allowed.
  [[nodiscard]] const std::string& device_class() const { return device_class_; }
  // The appraisal of the card; a release is allowed only where all of it affirms. None for a seal.
  [[nodiscard]] const TrustVector& trust() const { return trust_; }
  // The least security versions of this release, to be kept as floors.
  [[nodiscard]] const std::vector<SvnFloor>& svn_minimums() const { return svn_minimums_; }

 private:
  friend class Judge;
  Decision() = default;
  bool allowed_ = false;
  Findings findings_;
  std::string device_class_;
  TrustVector trust_;
  std::vector<SvnFloor> svn_minimums_;
};

// May this MEK be wrapped to this card? A card needs one device class, named by the MEK's rule, whose every
// rule holds; where none fits, the findings of all candidate classes are given.
[[nodiscard]] Decision evaluate(const Policy& policy, const Facts& facts);

// May this model be sealed under this MEK in this mode? The segments must be those of kAlwaysSealed that the
// container has, those that the rule names, and the CRCs of all these (NAME.crc), no fewer and no more.
[[nodiscard]] Decision evaluate(const Policy& policy, const SealFacts& facts);

// May this MEK be handed to the vendor's tool in the clear? The MEK's rule must name format "vendor" and
// [approvals] the operation mek-expose.
[[nodiscard]] Decision evaluate(const Policy& policy, const ExposeFacts& facts);

// The segments of a container (its non-empty ones) that the rule for `label` seals, in the container's order.
// Throws Error{Denied} where no rule is for that label.
std::vector<std::string> segments_to_seal(const Policy& policy, std::string_view label,
                                          const std::vector<std::string>& available);

// Whether the challenge may still be answered: the shortest lifetime among the classes of the MEK's rule, in
// seconds. Throws Error{Denied} where no rule is for that label.
std::int64_t challenge_lifetime(const Policy& policy, std::string_view label);
// The session key types that the MEK's classes and suites can serve, in the order p256, p384, rsa.
// Error{Denied} as above.
std::vector<std::string> session_key_types(const Policy& policy, std::string_view label);

}  // namespace qpcseal::policy
