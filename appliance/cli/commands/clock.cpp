// SPDX-License-Identifier: Apache-2.0
// Repairs of what the log is held against: the clock, and the token's anchor.
#include <memory>

#include "appliance/cli/commands/context.h"
#include "appliance/site/repair_acts.h"
#include "base/error.h"

namespace qpcseal::cli {

namespace {

Report correct(Context& context, bool yes) {
  const auto look = [&](const site::Outlook& outlook) { site::look_at_clock(outlook, yes); };
  const site::Environment environment = context.environment({.look = look});
  site::Appliance appliance(environment);
  const UnixTime before = appliance.log().state().last_time;
  site::correct_clock(appliance, environment.approvals, yes);
  const UnixTime now = appliance.log().state().last_time;
  Report report;
  report.json = {{"old_floor", format_time(before)}, {"new_floor", format_time(now)}};
  report.text = "the log's time goes on from " + format_time(now) + ", not from " + format_time(before) +
                "\nchallenges that were issued after it, in the false time, are void: request new reports\n";
  return report;
}

Report accept_anchor(Context& context, bool yes) {
  site::Repair repair;
  repair.accept_anchor = true;
  repair.yes = yes;
  const site::Appliance appliance(context.environment(), repair);
  const audit::State& state = appliance.log().state();
  Report report;
  report.json = {{"log_size", state.size}};
  report.text =
      "the token remembers the log as it is now, with " + std::to_string(state.size) +
      " entries\nwhat it remembered of this log until now is gone. If the log itself was put back to an "
      "older state, "
      "nobody can tell any more: hold it against a checkpoint that a witness, a printout or an auditor has "
      "('qpcseal audit verify --earlier NOTE')\n";
  return report;
}

template <typename Act>
void add_clock_command(CLI::App* command, Context& context, Act act) {
  auto yes = std::make_shared<bool>(false);
  command->add_flag("--yes", *yes, "In a demonstration without officers");
  add_output_options(*command, context);
  add_token_options(*command, context);
  add_approval_options(*command, context);
  command->callback(
      [&context, yes, act] { context.command = [&context, yes, act] { return act(context, *yes); }; });
}

}  // namespace

void add_clock(CLI::App& app, Context& context) {
  CLI::App* clock = app.add_subcommand("clock", "The log's time");
  clock->require_subcommand(1);
  add_clock_command(
      clock->add_subcommand(
          "correct", "Put the log's time back to the clock, after a clock that was ahead (clock-correct)"),
      context, correct);
}

void add_anchor_accept(CLI::App& audit, Context& context) {
  add_clock_command(
      audit.add_subcommand("anchor-accept",
                           "Accept the log where the token's anchor is old or missing (anchor-accept)"),
      context, accept_anchor);
}

}  // namespace qpcseal::cli
