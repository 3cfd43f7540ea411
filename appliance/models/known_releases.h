// SPDX-License-Identifier: Apache-2.0
// The releases in this appliance's log, read without token or lock.
#pragma once

#include <optional>

#include "appliance/audit/state.h"
#include "appliance/models/wrapped_meks.h"
#include "policy/facts.h"
#include "policy/policy.h"

namespace qpcseal::models {

class KnownReleases {
 public:
  KnownReleases(audit::State state, policy::Policy policy, policy::CollateralFacts collateral)
      : state_(std::move(state)), policy_(std::move(policy)), collateral_(std::move(collateral)) {}
  // Those of the home. Nothing: this machine has no home. A home that QPCSEAL_HOME names must exist.
  // Error{LogDamaged}, Error{Denied} where policy or trust are not the log's.
  static std::optional<KnownReleases> find();

  // Error{Denied}, with the reason, for a wrapped MEK that no logged release made, or whose release no longer
  // holds: card revoked, MEK not in use.
  void require(const WrappedSet& wrapped) const;
  [[nodiscard]] const audit::State& state() const { return state_; }

 private:
  audit::State state_;
  policy::Policy policy_;
  policy::CollateralFacts collateral_;
};

}  // namespace qpcseal::models
