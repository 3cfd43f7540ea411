// SPDX-License-Identifier: Apache-2.0
#include "appliance/ceremony/record.h"

#include <algorithm>

#include "base/error.h"
#include "encoding/pgp_words.h"

namespace qpcseal::ceremony {

namespace {

using encoding::Json;

Json acts_of(const Attempt& attempt) {
  Json out = Json::array();
  for (const LoggedAct& act : attempt.acts) {
    Json intent = act.intent;
    intent.erase("approval");  // the plan's, named once
    Json data = act.data;
    data.erase("approval");
    out.push_back({{"entry", act.seq},
                   {"kind", act.kind},
                   {"outcome", act.outcome},
                   {"asked", std::move(intent)},
                   {"result", std::move(data)}});
  }
  return out;
}

Json attempt_of(const Attempt& attempt) {
  Json out{{"attempt", attempt.number},
           {"began", format_time(attempt.began)},
           {"ended", attempt.outcome.empty() ? Json(nullptr) : Json(format_time(attempt.ended))},
           {"outcome", attempt.outcome.empty() ? "open" : attempt.outcome},
           {"acts", acts_of(attempt)}};
  for (const char* key : {"initials", "deviation", "outputs", "error"}) {
    const auto found = attempt.data.find(key);
    out[key] = found == attempt.data.end() ? Json(nullptr) : *found;
  }
  return out;
}

Json step_of(const Step& step, const History& history) {
  Json out{{"id", step.id},
           {"act", step.act},
           {"who", step.who},
           {"see", step.see},
           {"say", step.say},
           {"arguments", step.arguments},
           {"done", history.done(step.id)},
           {"attempts", Json::array()}};
  const auto attempts = history.steps.find(step.id);
  if (attempts != history.steps.end())
    for (const Attempt& attempt : attempts->second) out["attempts"].push_back(attempt_of(attempt));
  return out;
}

Json checkpoint_of(const audit::LogCopy& log, std::uint64_t size) {
  return {{"size", size}, {"root", to_hex(log.tree.root(size))}};
}

Json people_of(const Plan& plan) {
  Json out = Json::array();
  for (const Person& person : plan.people) out.push_back({{"name", person.name}, {"role", person.role}});
  return out;
}

// What of an act must be the same in rehearsal and run.
Json shape_of(const Json& step) {
  Json out{
      {"id", step.at("id")}, {"act", step.at("act")}, {"done", step.at("done")}, {"acts", Json::array()}};
  if (step.at("attempts").empty()) return out;
  for (const Json& act : step.at("attempts").back().at("acts")) {
    Json one{{"kind", act.at("kind")}, {"outcome", act.at("outcome")}};
    for (const char* key : {"attributes", "suite"})
      for (const char* part : {"asked", "result"})
        if (const auto found = act.at(part).find(key); found != act.at(part).end()) one[key] = *found;
    out["acts"].push_back(std::move(one));
  }
  return out;
}

void compare(std::vector<std::string>& out, const std::string& what, const Json& rehearsed, const Json& run) {
  if (rehearsed != run) out.push_back(what + ": rehearsed " + rehearsed.dump() + ", run " + run.dump());
}

}  // namespace

Json make_record(const audit::LogCopy& log, const Plan& plan, const History& history,
                 const Json& comparison) {
  const std::uint64_t end = history.end.value_or(log.state.size);
  Json out{{"format", "qpcseal/ceremony-record/1"},
           {"ceremony", encoding::text_member(history.begin, "ceremony")},
           {"plan",
            {{"id", plan.id},
             {"title", plan.title},
             {"sha256", plan.sha256},
             {"words", encoding::to_words(from_hex(plan.sha256))},
             {"threshold", plan.threshold},
             {"text", plan.text}}},
           {"appliance",
            {{"id", encoding::text_member(log.state.genesis, "appliance_id")},
             {"aud", encoding::text_member(log.state.genesis, "aud")},
             {"log_key", encoding::text_member(log.state.genesis, "log_key")}}},
           {"people", people_of(plan)},
           {"checkpoints", {{"before", checkpoint_of(log, history.seq)}, {"after", checkpoint_of(log, end)}}},
           {"began", format_time(history.began)},
           {"ended", format_time(history.ended)},
           {"comparison", comparison},
           {"steps", Json::array()}};
  for (const char* key :
       {"approvers", "signatures", "rejections", "environment", "policy", "rehearsal_sha256", "stand_ins"})
    out[key] = encoding::member(history.begin, key);
  for (const Step& step : plan.steps) out["steps"].push_back(step_of(step, history));
  return out;
}

std::vector<std::string> differences(const Json& rehearsal, const Json& record) {
  std::vector<std::string> out;
  try {
    compare(out, "plan", rehearsal.at("plan").at("sha256"), record.at("plan").at("sha256"));
    const Json &before = rehearsal.at("environment"), &now = record.at("environment");
    for (const char* key :
         {"os", "binary_sha256", "software", "module_sha256", "signing", "suites", "lacking", "anchor"})
      compare(out, key, before.at(key), now.at(key));
    for (const char* key : {"manufacturer", "model", "firmware"})
      compare(out, "token " + std::string(key), before.at("token").at(key), now.at("token").at(key));
    const Json &was = rehearsal.at("steps"), &is = record.at("steps");
    compare(out, "number of steps", was.size(), is.size());
    for (std::size_t i = 0; i < std::min(was.size(), is.size()); ++i)
      compare(out, "step " + is.at(i).at("id").get<std::string>(), shape_of(was.at(i)), shape_of(is.at(i)));
  } catch (const Json::exception&) {
    throw Error(ErrorKind::Malformed, "the rehearsal's record is not one of this program's");
  }
  return out;
}

}  // namespace qpcseal::ceremony
