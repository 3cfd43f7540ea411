#include "appliance/ceremony/runner.h"

#include "appliance/audit/words.h"
#include "appliance/ceremony/record.h"
#include "appliance/ceremony/site_check.h"
#include "appliance/ceremony/step_runner.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::ceremony {

namespace {

using audit::Json;

constexpr std::size_t kMaxRecord = std::size_t{8} << 20;  // bytes
constexpr std::size_t kIdSize = 16;                       // bytes

struct Rehearsal {
  Json record;
  std::string sha256;
};

std::optional<Rehearsal> read_rehearsal(const Wish& wish) {
  if (!wish.rehearsal) return std::nullopt;
  const Bytes bytes = read_file(*wish.rehearsal, kMaxRecord);
  Rehearsal out{audit::parse_json(text_of(bytes), wish.rehearsal->string()), to_hex(sha256(bytes))};
  if (out.record.value("format", "") != "qpcseal/ceremony-record/1" ||
      out.record.at("plan").value("sha256", "") != wish.plan.sha256)
    throw Error(ErrorKind::Denied,
                wish.rehearsal->string() + " is not the record of a rehearsal of this plan");
  return out;
}

std::optional<Rehearsal> expect_rehearsal(const Wish& wish, const Json& environment) {
  auto out = read_rehearsal(wish);
  if (!out && wish.plan.rehearsed)
    throw Error(ErrorKind::Denied, "the plan wants a rehearsal first",
                "'qpcseal ceremony rehearse', then --rehearsal RECORD");
  if (!out) return out;
  const Json& before = out->record.at("environment");
  Complaints complaints;
  for (const char* key : {"manufacturer", "model"})
    if (before.at("token").at(key) != environment.at("token").at(key))
      complaints.push_back(std::string(key) + " was " + before.at("token").at(key).dump());
  for (const char* key : {"signing", "suites", "lacking"})
    if (before.at(key) != environment.at(key))
      complaints.push_back(std::string(key) + " was " + before.at(key).dump());
  refuse("the token is not like the one of the rehearsal", complaints);
  for (const Json& step : out->record.at("steps"))
    if (step.at("done") != true) throw Error(ErrorKind::Denied, "the rehearsal did not come to its end");
  return out;
}

void expect_appliance(const Plan& plan, const audit::State& state) {
  if (audit::text_member(state.genesis, "appliance_id") != plan.appliance ||
      audit::text_member(state.genesis, "aud") != plan.aud)
    throw Error(ErrorKind::Denied, "the plan is for appliance " + plan.appliance + " (" + plan.aud +
                                       "), this is " + audit::text_member(state.genesis, "appliance_id") +
                                       " (" + audit::text_member(state.genesis, "aud") + ")");
}

Json approvers_of(const policy::Tally& tally) {
  Json out = Json::array();
  for (const policy::Approver& each : tally.approvers)
    out.push_back({{"name", each.name}, {"fingerprint", each.fingerprint}});
  return out;
}

Json rejections_of(const policy::Tally& tally) {
  Json out = Json::array();
  for (const Finding& each : tally.findings)
    out.push_back({each.id, each.claim, each.observed, each.expected});
  return out;
}

// Last checks, with people watching, before the log says that it begins.
void agree(const Plan& plan, const policy::Tally& tally, Console& console) {
  console.say(show(plan));
  for (const policy::Approver& each : tally.approvers)
    console.say("signed by " + each.name + ", " + each.fingerprint + "\n");
  console.say(
      "Compare the SHA-256 or its words with what was reviewed. At every prompt, 'stop' stops safely.\n");
  if (console.ask("type Yes to begin: ") != "Yes")
    throw Error(ErrorKind::Usage, "the ceremony was not begun");
}

Json begin_data(release::Appliance& appliance, const Plan& plan, const policy::Tally& tally,
                const Json& environment, const std::optional<Rehearsal>& rehearsal,
                const std::vector<std::string>& stand_ins) {
  Json out{{"ceremony", to_hex(appliance.random().bytes(kIdSize))},
           {"plan_sha256", plan.sha256},
           {"plan_id", plan.id},
           {"threshold", plan.threshold},
           {"approvers", approvers_of(tally)},
           {"rejections", rejections_of(tally)},
           {"environment", environment},
           {"policy", appliance.policy_digest()},
           {"rehearsal_sha256", nullptr},
           {"stand_ins", stand_ins}};
  if (rehearsal) out["rehearsal_sha256"] = rehearsal->sha256;
  return out;
}

History current(const release::Appliance& appliance, const Plan& plan) {
  auto out = history_of(audit::read_log(appliance.home().log(), std::nullopt), plan.sha256);
  if (!out)
    throw Error(ErrorKind::Usage, "no ceremony of this plan was begun", "'qpcseal ceremony run' begins one");
  return std::move(*out);
}

Finished render(const audit::LogCopy& log, const Plan& plan, const History& history, const Json& comparison) {
  const Json record = record_of(log, plan, history, comparison);
  Finished out;
  out.ceremony = audit::text_member(history.begin, "ceremony");
  out.record = audit::canonical(record) + "\n";
  out.page = page_of(record);
  if (comparison.is_array())
    for (const Json& line : comparison) out.differences.push_back(line.get<std::string>());
  return out;
}

// The record first, its digests into the log with the end.
Finished conclude(release::Appliance& appliance, const Wish& wish, const std::string& outcome, Json data) {
  const audit::LogCopy log = audit::read_log(appliance.home().log(), std::nullopt);
  const History history = current(appliance, wish.plan);
  const auto rehearsal = read_rehearsal(wish);
  Json comparison = nullptr;
  if (rehearsal) comparison = differences(rehearsal->record, record_of(log, wish.plan, history, nullptr));
  Finished out = render(log, wish.plan, history, comparison);
  data["comparison"] = comparison;
  data["record_sha256"] = to_hex(sha256(view(out.record)));
  data["page_sha256"] = to_hex(sha256(view(out.page)));
  appliance.log().result({history.seq, history.txn, "ceremony"}, outcome, std::move(data));
  return out;
}

Finished go_on(release::Appliance& appliance, const Wish& wish, Console& console) {
  const History begun = current(appliance, wish.plan);
  const Frame frame{audit::text_member(begun.begin, "ceremony"), wish.plan.sha256,
                    audit::member(begun.begin, "approvers")};
  StepRunner runner(appliance, wish.plan, frame, wish.folder, console);
  std::size_t number = 0;
  for (const Step& step : wish.plan.steps) {
    ++number;
    if (!begun.done(step.id)) runner.run(step, number);
  }
  return conclude(appliance, wish, "ok", Json::object());
}

History expect_open(const release::Appliance& appliance, const Plan& plan) {
  History out = current(appliance, plan);
  if (out.end)
    throw Error(ErrorKind::Usage, "the ceremony has ended: " + out.outcome,
                "'qpcseal ceremony report' writes its record");
  return out;
}

void refuse_used(const Plan& plan, const audit::State& state) {
  for (const auto& [used, ceremony] : state.ceremonies) {
    if (used == plan.sha256)
      throw Error(ErrorKind::ApprovalsMissing, "this plan was used before: its signatures serve once",
                  ceremony.outcome.empty() ? "'qpcseal ceremony resume' goes on with it" : "");
    if (ceremony.outcome.empty())
      throw Error(ErrorKind::Denied, "another ceremony is not at its end: " + ceremony.id,
                  "'qpcseal ceremony resume' goes on with it, or ends it with --abandon");
  }
}

}  // namespace

Finished run(release::Appliance& appliance, const Wish& wish, Console& console) {
  const Plan& plan = wish.plan;
  refuse_used(plan, appliance.log().state());
  expect_appliance(plan, appliance.log().state());
  if (appliance.now() >= plan.valid_until)
    throw Error(ErrorKind::ApprovalsMissing, "the plan was valid until " + format_time(plan.valid_until));
  const policy::Tally tally =
      check_signatures(plan, appliance.home(), appliance.log().state(), wish.signatures, appliance.now());
  refuse("the policy does not fit the plan", check_policy(plan, appliance.policy(), appliance.now()));
  refuse("the files do not fit the plan", check_files(plan, wish.folder));
  const Json environment = environment_of(appliance);
  refuse("the token does not fit the plan", check_token(plan, environment));
  const auto rehearsal = expect_rehearsal(wish, environment);
  agree(plan, tally, console);
  appliance.log().intent("ceremony", begin_data(appliance, plan, tally, environment, rehearsal, {}));
  return go_on(appliance, wish, console);
}

Finished resume(release::Appliance& appliance, const Wish& wish, Console& console) {
  const History begun = expect_open(appliance, wish.plan);
  check_signers(wish.plan, appliance.home(), appliance.log().state(), audit::member(begun.begin, "approvers"),
                appliance.now());
  refuse("the policy no longer fits the plan", check_policy(wish.plan, appliance.policy(), appliance.now()));
  const Json& digest = audit::member(begun.begin, "rehearsal_sha256");
  const auto rehearsal = read_rehearsal(wish);
  if (digest != (rehearsal ? Json(rehearsal->sha256) : Json(nullptr)))
    throw Error(ErrorKind::Denied,
                "the ceremony was begun with another rehearsal, or none: " + digest.dump());
  return go_on(appliance, wish, console);
}

Finished abandon(release::Appliance& appliance, const Wish& wish, const std::string& why) {
  const History begun = expect_open(appliance, wish.plan);
  for (const auto& [step, attempts] : begun.steps)
    for (const Attempt& attempt : attempts)
      if (attempt.outcome.empty())
        appliance.log().result({attempt.seq, attempt.txn, "ceremony-step"}, "failed",
                               {{"ceremony", audit::text_member(begun.begin, "ceremony")},
                                {"plan_sha256", wish.plan.sha256},
                                {"step", step},
                                {"attempt", attempt.number},
                                {"error", "the ceremony was abandoned"}});
  return conclude(appliance, wish, "failed", {{"why", why}});
}

Finished report(const audit::LogCopy& log, const Plan& plan) {
  const auto history = history_of(log, plan.sha256);
  if (!history || !history->end) throw Error(ErrorKind::Usage, "no ceremony of this plan has ended");
  Finished out = render(log, plan, *history, audit::member(history->result, "comparison"));
  if (to_hex(sha256(view(out.record))) != audit::text_member(history->result, "record_sha256"))
    throw Error(ErrorKind::Internal, "the record made again is not the one that the log names");
  return out;
}

Finished rehearse(release::Appliance& appliance, const Wish& wish, Console& console,
                  const std::vector<std::string>& stand_ins) {
  const Json environment = environment_of(appliance);
  refuse("the token does not fit the plan", check_token(wish.plan, environment));
  appliance.log().intent("ceremony",
                         begin_data(appliance, wish.plan, {}, environment, std::nullopt, stand_ins));
  Wish bare = wish;
  bare.rehearsal.reset();
  return go_on(appliance, bare, console);
}

}  // namespace qpcseal::ceremony
