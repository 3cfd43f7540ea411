// SPDX-License-Identifier: Apache-2.0
// The policy and the trust material in force: files of the home, checked against the digests in the log.
#pragma once

#include <string>

#include "appliance/audit/state.h"
#include "appliance/site/home.h"
#include "appliance/trust/trust_folder.h"
#include "policy/policy.h"

namespace qpcseal::site {

// The policy in force: the file's digest must be the one in the log. Error{Denied} otherwise.
policy::Policy read_policy(const Home& home, const audit::State& state);
// The trust folder, likewise.
trust::Trust read_pinned_trust(const Home& home, const audit::State& state);

// Error{Denied} where they differ: "WHAT is not the one in the log".
void expect_same(const std::string& what, const std::string& found, const std::string& logged);

}  // namespace qpcseal::site
