// SPDX-License-Identifier: Apache-2.0
// Compares a plan with the place where it is to run: policy, officers, token, files. Each function returns
// all faults.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "appliance/approval/officers.h"
#include "appliance/ceremony/history.h"
#include "appliance/ceremony/plan.h"
#include "appliance/site/appliance.h"

namespace qpcseal::ceremony {

using Complaints = std::vector<std::string>;

// A policy that has expired; operations that it does not allow, or for which it wants more officers than sign
// the plan.
Complaints check_policy(const Plan& plan, const policy::Policy& policy, UnixTime now);
// Inputs that are missing or others; those of steps that `history` has as done are not looked at.
Complaints check_inputs(const Plan& plan, const std::filesystem::path& dir, const History* history = nullptr);
// Outputs that exist before the ceremony.
Complaints check_outputs(const Plan& plan, const std::filesystem::path& dir);
// MEKs that are not there, or are there already, as the plan's steps go by, by what the log knows; names that
// stand for several generations.
Complaints check_meks(const Plan& plan, const audit::State& state);
// How the appliance differs from the plan's; empty where it does not.
std::string other_appliance(const Plan& plan, const audit::State& state);
// Where and when: another appliance, a plan that expired, was used or rejected, or that more officers must
// sign than may.
Complaints check_place(const Plan& plan, const site::Home& home, const audit::State& state, UnixTime now);
// People of the plan who are said to sign as officers that the officers file does not have.
Complaints check_officers(const Plan& plan, const site::Home& home, const audit::State& state);
// Another image than the plan demands, or none.
Complaints check_image(const Plan& plan, const site::RunningImage& running);
// The same as an error, Error{Denied}; and where a ceremony that began under an image would go on under
// another, or under none.
void expect_image(const Plan& plan, const site::RunningImage& running);
void expect_same_image(const History& begun, const site::RunningImage& running);
// More officers who must sign than people in the plan.
Complaints check_people(const Plan& plan);

// The facts about machine and token for the log and the record.
encoding::Json describe_environment(site::Appliance& appliance);
Complaints check_token(const Plan& plan, const encoding::Json& environment);

// Error{Denied} with all of them in one message, where there are any.
void refuse(const std::string& what, const Complaints& complaints);

}  // namespace qpcseal::ceremony
