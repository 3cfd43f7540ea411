// SPDX-License-Identifier: Apache-2.0
// A policy with every rule, and facts that pass under it; tests change one thing at a time.
#pragma once

#include <string>

#include "policy/evaluate.h"
#include "policy/facts.h"
#include "policy/policy.h"

namespace qpcseal::testing {

// TOML; `sample_policy_text("a", "b")` has the one occurrence of "a" replaced by "b".
std::string sample_policy_text();
std::string sample_policy_text(const std::string& from, const std::string& to);
policy::Policy sample_policy();

// One card of class "ai100" for the key "resnet50#1" by suite 1.
policy::Facts sample_facts();
policy::SealFacts sample_seal_facts();

}  // namespace qpcseal::testing
