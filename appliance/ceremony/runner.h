// SPDX-License-Identifier: Apache-2.0
// Runs a ceremony, and goes on with one that stopped. The log says how far it came. A ceremony is an intent
// that stays open, and so is each step. Each act carries an approval that names plan, step and attempt and
// serves once, so no step can act twice.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "appliance/approval/officers.h"
#include "appliance/ceremony/ceremony_inputs.h"
#include "appliance/ceremony/console.h"
#include "appliance/ceremony/history.h"
#include "appliance/site/appliance.h"

namespace qpcseal::ceremony {

struct CeremonyResult {
  std::string ceremony, record;          // id; the record as canonical JSON
  std::vector<std::string> differences;  // from the rehearsal
  // Of one that was abandoned: acts that stand though nobody confirmed their steps, a sentence each.
  std::vector<std::string> unconfirmed;
};

// From the beginning. Error{ApprovalsMissing}, Error{Denied}: nothing was begun; a rejection of the plan
// among the signatures is in the log then, and the plan serves no more. Error{Usage} where people stop: it
// can go on. Plan, signatures and the rehearsal's record are kept in the home.
CeremonyResult run(site::Appliance& appliance, const CeremonyInputs& inputs, Console& console);
// Where a run ends before the ceremony does, the log says when, at which step and why, unless the program was
// killed. Goes on with a ceremony of this plan, as long as its signatures count, policy and inputs fit. The
// rehearsal's record may be left out of the inputs. Error{Usage} where there is none, or it has ended.
CeremonyResult resume(site::Appliance& appliance, const CeremonyInputs& inputs, Console& console);
// Ends it where it stands, as failed, once the console answered "Yes". What its steps did stays done and is
// in the record. Error{Usage} without a reason.
CeremonyResult abandon(site::Appliance& appliance, const CeremonyInputs& inputs, const std::string& why,
                       Console& console);
// What can be said of run(), resume() and abandon() without the token: they refuse the same.
void look_at_run(const site::Outlook& outlook, const CeremonyInputs& inputs);
void look_at_resume(const site::Outlook& outlook, const CeremonyInputs& inputs);
void look_at_abandon(const site::Outlook& outlook, const CeremonyInputs& inputs, const std::string& why);
// The record of one that has ended, made again from the log: the same bytes. Of the plan's last ceremony, or
// of the one with this id.
CeremonyResult report(const audit::LogCopy& log, const Plan& plan, const std::string& ceremony = "");

// The digest of the plan whose ceremony goes on or, where none does, of the one that began last.
// Error{Usage} where there was none.
std::string latest_plan(const audit::State& state);
// A plan by its digest, as run() kept it. Error{Io} where it was not kept, Error{Denied} where what was kept
// has another digest, Error{Malformed} where it is no plan.
Plan kept_plan(const site::Home& home, const std::string& sha256);

// A rehearsal: the same plan without signatures, in a throw-away appliance. `stand_ins` are for
// objects of the real token. Error{Denied} in an appliance that is no demonstration.
CeremonyResult rehearse(site::Appliance& appliance, const CeremonyInputs& inputs, Console& console,
                        const std::vector<std::string>& stand_ins);

}  // namespace qpcseal::ceremony
