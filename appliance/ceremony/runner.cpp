// SPDX-License-Identifier: Apache-2.0
#include "appliance/ceremony/runner.h"

#include <algorithm>

#include "appliance/approval/quorum.h"
#include "appliance/ceremony/fixtures.h"
#include "appliance/ceremony/preflight.h"
#include "appliance/ceremony/record.h"
#include "appliance/ceremony/rehearsal.h"
#include "appliance/ceremony/signers.h"
#include "appliance/ceremony/step_runner.h"
#include "appliance/site/archive.h"
#include "appliance/site/logged_act.h"
#include "base/current_error.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "encoding/pgp_words.h"

namespace qpcseal::ceremony {

namespace {

using encoding::Json;

constexpr std::size_t kIdSize = 16;  // bytes
constexpr const char* kPlanExtension = ".plan";

void expect_appliance(const Plan& plan, const audit::State& state) {
  if (const std::string other = other_appliance(plan, state); !other.empty())
    throw Error(ErrorKind::Denied, other);
}

Json rejections_of(const approval::Tally& tally) {
  Json out = Json::array();
  for (const Finding& each : tally.findings)
    out.push_back({each.id, each.claim, each.observed, each.expected});
  return out;
}

constexpr const char* kNotBegun = "give the same command again";

// "yes" is asked once more. Whoever stops here has stopped nothing that had begun.
bool is_yes(Console& console, const std::string& question) {
  try {
    std::string answer = console.ask(question);
    while (answer == "yes" || answer == "YES") answer = console.ask(question);
    return answer == "Yes";
  } catch (const Error& error) {
    throw Error(error.kind(), std::string(error.what()) + "; nothing was done", kNotBegun);
  }
}

// Last checks, with people watching, before the log says that it begins.
void confirm(const Plan& plan, const approval::Tally& tally, Console& console) {
  console.say(show(plan));
  for (const approval::Approver& each : tally.approvers)
    console.say("signed by " + each.name + ", " + each.fingerprint + "\n");
  console.say(
      "Compare the SHA-256 or its words with what was reviewed. At every prompt, 'stop' stops safely.\n");
  if (!is_yes(console, "type Yes to begin: "))
    throw Error(ErrorKind::Usage, "the ceremony was not begun", kNotBegun);
}

// A rejection is recorded, and then the plan is one that nobody can run.
[[noreturn]] void record_rejection(site::Appliance& appliance, const Plan& plan,
                                   const std::vector<std::string>& signatures,
                                   const std::vector<approval::Approver>& rejecters) {
  site::archive_approval(appliance.home(), plan.text, kPlanExtension,
                         approval::counted(signatures, rejecters));
  Json data = approval::rejection_data("ceremony", plan.sha256, plan.sha256, rejecters);
  data["title"] = plan.title;
  appliance.log().event("rejection", std::move(data));
  throw Error(ErrorKind::ApprovalsMissing, "the plan was rejected by " + approval::approver_names(rejecters),
              "the log records it; that plan can no longer be run");
}

Json begin_data(site::Appliance& appliance, const Plan& plan, const Signed& by, const Json& environment,
                const std::optional<Rehearsal>& rehearsal, const std::vector<std::string>& stand_ins) {
  Json out{{"ceremony", to_hex(appliance.random().bytes(kIdSize))},
           {"plan_sha256", plan.sha256},
           {"plan_id", plan.id},
           {"title", plan.title},
           {"threshold", plan.threshold},
           {"approvers", approval::as_json(by.tally.approvers)},
           {"signatures", by.signatures},
           {"rejections", rejections_of(by.tally)},
           {"environment", environment},
           {"policy", appliance.policy_digest()},
           {"rehearsal_sha256", nullptr},
           {"stand_ins", stand_ins}};
  if (rehearsal) out["rehearsal_sha256"] = rehearsal->sha256;
  return out;
}

History current(const site::Home& home, const Plan& plan) {
  auto out = find_history(audit::read_log(home.log(), std::nullopt), plan.sha256);
  if (!out)
    throw Error(ErrorKind::Usage, "no ceremony of this plan was begun", "'qpcseal ceremony run' begins one");
  return std::move(*out);
}

CeremonyResult render(const audit::LogCopy& log, const Plan& plan, const History& history,
                      const Ending& ending) {
  const Json record = make_record(log, plan, history, ending);
  CeremonyResult out;
  out.ceremony = encoding::text_member(history.begin, "ceremony");
  out.record = encoding::canonical(record) + "\n";
  if (ending.comparison.is_array())
    for (const Json& line : ending.comparison) out.differences.push_back(line.get<std::string>());
  return out;
}

// The record first, its digest into the log with the end. `why`: of one that is abandoned.
CeremonyResult conclude(site::Appliance& appliance, const CeremonyInputs& inputs, const std::string& outcome,
                        const std::string& why) {
  const audit::LogCopy log = audit::read_log(appliance.home().log(), std::nullopt);
  const History history = current(appliance.home(), inputs.plan);
  const auto rehearsal = begun_with(appliance.home(), inputs, history.begin);
  Ending ending{outcome, why, format_time(appliance.now()), nullptr};
  if (rehearsal)
    ending.comparison = differences(rehearsal->record, make_record(log, inputs.plan, history, ending));
  CeremonyResult out = render(log, inputs.plan, history, ending);
  Json data{
      {"ended", ending.time}, {"comparison", ending.comparison}, {"record_sha256", sha256_hex(out.record)}};
  if (!why.empty()) data["why"] = why;
  appliance.log().result({history.seq, history.txn, "ceremony"}, outcome, std::move(data));
  return out;
}

// The members that stops and resumes have.
Json ids_of(const CeremonyIds& ids) { return {{"ceremony", ids.ceremony}, {"plan_sha256", ids.plan_sha256}}; }

// A message of any origin, as one line that an entry can hold.
std::string short_text(const std::string& message) {
  constexpr std::size_t kMost = 512;  // bytes
  std::string out = printable(message, Letters::All);
  if (out.size() <= kMost) return out;
  std::size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xc0U) == 0x80U) --end;  // within a character
  return out.substr(0, end) + "...";
}

// In a catch block.
void log_stop(site::Appliance& appliance, const CeremonyIds& ids, const Step& step) {
  Json data = ids_of(ids);
  data["step"] = step.id;
  data["cause"] = short_text(current_error().what());
  site::log_failure([&] { appliance.log().event("ceremony-stop", std::move(data)); });
}

CeremonyResult go_on(site::Appliance& appliance, const CeremonyInputs& inputs, Console& console) {
  const History begun = current(appliance.home(), inputs.plan);
  const CeremonyIds frame{encoding::text_member(begun.begin, "ceremony"), inputs.plan.sha256,
                          encoding::member(begun.begin, "approvers")};
  StepRunner runner(appliance, inputs.plan, frame, inputs.dir, console);
  std::size_t number = 0;
  for (const Step& step : inputs.plan.steps) {
    ++number;
    if (begun.done(step.id)) continue;
    try {
      runner.run(step, number);
    } catch (...) {
      log_stop(appliance, frame, step);
      throw;
    }
  }
  return conclude(appliance, inputs, "ok", "");
}

// Names the ceremony to those who come back to it.
void announce(const Plan& plan, const History& begun, Console& console) {
  const auto done = std::ranges::count_if(plan.steps, [&](const Step& step) { return begun.done(step.id); });
  console.say("Ceremony '" + plan.id + "': " + plan.title + "\nbegan " + format_time(begun.began) + "; " +
              std::to_string(done) + " of " + std::to_string(plan.steps.size()) + " steps are done\n");
  if (!begun.interruptions.empty() && !begun.interruptions.back().resumed)
    console.say("stopped " + format_time(begun.interruptions.back().last_seen) + " at step '" +
                begun.interruptions.back().step + "': " + begun.interruptions.back().cause + "\n");
}

History expect_open(const site::Home& home, const Plan& plan) {
  History out = current(home, plan);
  if (out.end)
    throw Error(ErrorKind::Usage, "the ceremony has ended: " + out.outcome,
                "'qpcseal ceremony report' writes its record");
  return out;
}

void refuse_used(const Plan& plan, const audit::State& state) {
  if (state.approvals_used.contains(plan.sha256))
    throw Error(ErrorKind::ApprovalsMissing, "this plan was rejected", "make another one");
  for (const auto& [used, ceremony] : state.ceremonies) {
    if (used == plan.sha256 && !audit::may_begin_anew(ceremony))
      throw Error(ErrorKind::ApprovalsMissing, "this plan was used before, and serves once",
                  ceremony.outcome.empty() ? "'qpcseal ceremony resume' goes on with it"
                                           : "make a plan with another id, and let officers sign it");
    if (ceremony.outcome.empty())
      throw Error(ErrorKind::Denied, "another ceremony has not ended: " + ceremony.id,
                  "'qpcseal ceremony resume' goes on with it, or ends it with --abandon");
  }
}

// What is judged of a plan without the token. Where officers reject it, nothing else is.
struct Judged {
  std::vector<std::string> given;  // signatures
  std::vector<approval::Approver> rejecters;
  Signed by;
};

Judged judge_plan(const site::Outlook& at, const CeremonyInputs& inputs) {
  const Plan& plan = inputs.plan;
  const UnixTime now = at.now();
  refuse_used(plan, at.state);
  expect_appliance(plan, at.state);
  if (now >= plan.valid_until)
    throw Error(ErrorKind::ApprovalsMissing, "the plan was valid until " + format_time(plan.valid_until));
  Judged out{approval::read_signatures(inputs.signatures), {}, {}};
  out.rejecters = find_rejecters(plan, at.home, at.state, out.given, now);
  if (!out.rejecters.empty()) return out;
  out.by = check_signatures(plan, at.home, at.state, out.given, now);
  expect_image(plan, at.image);
  refuse("the officers do not fit the plan", check_officers(plan, at.home, at.state));
  refuse("the policy does not fit the plan", check_policy(plan, at.policy, now));
  refuse("the keys do not fit the plan", check_meks(plan, at.state));
  refuse("the files do not fit the plan", check_inputs(plan, inputs.dir));
  refuse("the files do not fit the plan", check_outputs(plan, inputs.dir));
  return out;
}

History judge_resume(const site::Outlook& at, const CeremonyInputs& inputs) {
  History begun = expect_open(at.home, inputs.plan);
  expect_same_image(begun, at.image);
  check_signers(inputs.plan, at.home, at.state, begun.begin, at.now());
  refuse("the policy no longer fits the plan", check_policy(inputs.plan, at.policy, at.now()));
  refuse("the files do not fit the plan", check_inputs(inputs.plan, inputs.dir, &begun));
  if (!begun_with(at.home, inputs, begun.begin) &&
      encoding::member(begun.begin, "rehearsal_sha256").is_string())
    throw Error(ErrorKind::Denied, "the ceremony was begun with a rehearsal's record, which was not kept",
                "give it: --rehearsal RECORD");
  return begun;
}

History judge_abandon(const site::Outlook& at, const CeremonyInputs& inputs, const std::string& why) {
  if (why.find_first_not_of(" \t") == std::string::npos)
    throw Error(ErrorKind::Usage,
                "--why is empty: the record of a ceremony that was abandoned says the reason");
  History begun = expect_open(at.home, inputs.plan);
  static_cast<void>(begun_with(at.home, inputs, begun.begin));  // another one is refused
  return begun;
}

}  // namespace

void look_at_run(const site::Outlook& outlook, const CeremonyInputs& inputs) {
  if (!judge_plan(outlook, inputs).rejecters.empty()) return;  // the run records it
  static_cast<void>(given_rehearsal(inputs));
}

void look_at_resume(const site::Outlook& outlook, const CeremonyInputs& inputs) {
  static_cast<void>(judge_resume(outlook, inputs));
}

void look_at_abandon(const site::Outlook& outlook, const CeremonyInputs& inputs, const std::string& why) {
  static_cast<void>(judge_abandon(outlook, inputs, why));
}

CeremonyResult run(site::Appliance& appliance, const CeremonyInputs& inputs, Console& console) {
  const Plan& plan = inputs.plan;
  const auto [given, rejecters, by] = judge_plan(appliance.outlook(), inputs);
  if (!rejecters.empty()) record_rejection(appliance, plan, given, rejecters);
  const Json environment = describe_environment(appliance);
  refuse("the token does not fit the plan", check_token(plan, environment));
  const auto rehearsal = expect_rehearsal(inputs, environment);
  confirm(plan, by.tally, console);
  site::archive_approval(appliance.home(), plan.text, kPlanExtension, by.signatures);
  if (rehearsal) site::archive_put(appliance.home(), rehearsal->text, kRehearsalExtension);
  appliance.log().intent("ceremony", begin_data(appliance, plan, by, environment, rehearsal, {}));
  return go_on(appliance, inputs, console);
}

CeremonyResult resume(site::Appliance& appliance, const CeremonyInputs& inputs, Console& console) {
  const History begun = judge_resume(appliance.outlook(), inputs);
  announce(inputs.plan, begun, console);
  const std::string& id = encoding::text_member(begun.begin, "ceremony");
  appliance.log().event("ceremony-resume", ids_of({id, inputs.plan.sha256, {}}));
  return go_on(appliance, inputs, console);
}

namespace {

std::vector<std::string> unconfirmed_acts(const Plan& plan, const History& history) {
  std::vector<std::string> out;
  for (const Step& step : plan.steps)
    if (const auto entry = history.unconfirmed(step.id))
      out.push_back("step '" + step.id + "': its act (" + step.act + ") is done, log entry " +
                    std::to_string(*entry) + ", and stays; nobody confirmed it");
  return out;
}

}  // namespace

CeremonyResult abandon(site::Appliance& appliance, const CeremonyInputs& inputs, const std::string& why,
                       Console& console) {
  const History begun = judge_abandon(appliance.outlook(), inputs, why);
  announce(inputs.plan, begun, console);
  const std::vector<std::string> standing = unconfirmed_acts(inputs.plan, begun);
  for (const std::string& act : standing) console.say(act + "\n");
  if (!is_yes(console, "type Yes to end it here for good: "))
    throw Error(ErrorKind::Usage, "the ceremony was not ended");
  for (const auto& [step, attempts] : begun.steps)
    for (const Attempt& attempt : attempts)
      if (attempt.outcome.empty())
        appliance.log().result({attempt.seq, attempt.txn, "ceremony-step"}, "failed",
                               {{"ceremony", encoding::text_member(begun.begin, "ceremony")},
                                {"plan_sha256", inputs.plan.sha256},
                                {"step", step},
                                {"attempt", attempt.number},
                                {"error", kAbandoned}});
  CeremonyResult out = conclude(appliance, inputs, "failed", why);
  out.unconfirmed = standing;
  return out;
}

CeremonyResult report(const audit::LogCopy& log, const Plan& plan, const std::string& ceremony) {
  const auto history = find_history(log, plan.sha256, ceremony);
  if (!history || !history->end) throw Error(ErrorKind::Usage, "no ceremony of this plan has ended");
  CeremonyResult out = render(log, plan, *history, logged_ending(*history));
  if (sha256_hex(out.record) != encoding::text_member(history->result, "record_sha256"))
    throw Error(ErrorKind::Internal, "the record made again is not the one that the log names");
  return out;
}

std::string latest_plan(const audit::State& state) {
  const std::string* out = nullptr;
  std::uint64_t last = 0;
  for (const auto& [plan, ceremony] : state.ceremonies) {
    if (ceremony.outcome.empty()) return plan;
    if (out != nullptr && ceremony.seq <= last) continue;
    out = &plan;
    last = ceremony.seq;
  }
  if (out == nullptr) throw Error(ErrorKind::Usage, "the log has no ceremony");
  return *out;
}

Plan kept_plan(const site::Home& home, const std::string& sha256) {
  Plan out = parse_plan(site::archive_get(home, sha256, kPlanExtension), "plan " + sha256);
  if (out.sha256 != sha256) throw Error(ErrorKind::Denied, "the plan that was kept is not " + sha256);
  return out;
}

CeremonyResult rehearse(site::Appliance& appliance, const CeremonyInputs& inputs, Console& console,
                        const std::vector<std::string>& stand_ins) {
  require_demo_appliance(appliance.log().state());
  const Json environment = describe_environment(appliance);
  refuse("the token does not fit the plan", check_token(inputs.plan, environment));
  appliance.log().intent("ceremony",
                         begin_data(appliance, inputs.plan, {}, environment, std::nullopt, stand_ins));
  CeremonyInputs bare = inputs;
  bare.rehearsal.reset();
  return go_on(appliance, bare, console);
}

}  // namespace qpcseal::ceremony
