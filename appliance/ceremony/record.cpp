// SPDX-License-Identifier: Apache-2.0
#include "appliance/ceremony/record.h"

#include <algorithm>
#include <utility>

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

Json number_or_null(const std::optional<std::uint64_t>& number) {
  return number ? Json(*number) : Json(nullptr);
}

Json step_of(const Step& step, const History& history) {
  Json out{{"id", step.id},
           {"act", step.act},
           {"who", step.who},
           {"see", step.see},
           {"say", step.say},
           {"arguments", step.arguments},
           {"done", history.done(step.id)},
           {"unconfirmed", number_or_null(history.unconfirmed(step.id))},
           {"attempts", Json::array()}};
  const auto attempts = history.steps.find(step.id);
  if (attempts != history.steps.end())
    for (const Attempt& attempt : attempts->second) out["attempts"].push_back(attempt_of(attempt));
  return out;
}

Json checkpoint_of(const audit::LogCopy& log, std::uint64_t size) {
  return {{"size", size}, {"root", to_hex(log.tree.root(size))}};
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json time_or_null(const std::optional<UnixTime>& time) {
  return time ? Json(format_time(*time)) : Json(nullptr);
}

Json people_of(const Plan& plan) {
  Json out = Json::array();
  for (const Person& person : plan.people)
    out.push_back({{"name", person.name}, {"role", person.role}, {"officer", text_or_null(person.officer)}});
  return out;
}

const char* result_word(const Ending& ending) {
  if (ending.outcome == "ok") return "complete";
  return ending.why.empty() ? "failed" : "abandoned";
}

Json outcome_of(const Plan& plan, const History& history, const Ending& ending) {
  std::uint64_t done = 0, unconfirmed = 0;
  for (const Step& step : plan.steps) {
    if (history.done(step.id)) ++done;
    if (history.unconfirmed(step.id)) ++unconfirmed;
  }
  return {{"result", result_word(ending)},
          {"why", text_or_null(ending.why)},
          {"steps", plan.steps.size()},
          {"steps_done", done},
          {"acts_unconfirmed", unconfirmed}};
}

Json interruptions_of(const History& history, const Ending& ending) {
  std::vector<Interruption> all = history.interruptions;
  // A ceremony is abandoned by a run of its own: the one before ended without a word, or said why.
  if (ending.outcome != "ok" && (all.empty() || all.back().resumed))
    all.push_back({std::nullopt, history.last_seen, "", "", std::nullopt});
  Json out = Json::array();
  for (const Interruption& one : all)
    out.push_back({{"stopped", time_or_null(one.stopped)},
                   {"last_entry", format_time(one.last_seen)},
                   {"step", text_or_null(one.step)},
                   {"cause", text_or_null(one.cause)},
                   {"resumed", time_or_null(one.resumed)}});
  return out;
}

// A value as a reader says it.
std::string in_words(const Json& value) {
  if (value.is_null()) return "none";
  if (value.is_boolean()) return value == true ? "yes" : "no";
  if (value.is_string()) return "'" + value.get<std::string>() + "'";
  if (!value.is_array()) return value.dump();
  std::string out;
  for (const Json& item : value)
    out += (out.empty() ? "" : ", ") + (item.is_string() ? item.get<std::string>() : item.dump());
  return out.empty() ? "none" : out;
}

// Sentences, one for each difference.
class Comparison {
 public:
  void value(const std::string& what, const Json& rehearsed, const Json& run) {
    if (rehearsed != run)
      out_.push_back(what + ": " + in_words(rehearsed) + " in the rehearsal, " + in_words(run) +
                     " in the ceremony.");
  }

  void step(const Json& rehearsed, const Json& run) {
    const std::string name = "Step '" + run.at("id").get<std::string>() + "'";
    if (rehearsed.at("id") != run.at("id") || rehearsed.at("act") != run.at("act")) {
      out_.push_back(name + " stands where the rehearsal had '" + rehearsed.at("id").get<std::string>() +
                     "'.");
      return;
    }
    if (rehearsed.at("done") != run.at("done")) {
      out_.push_back(name + said_of_done(run));
      return;
    }
    const Json before = last_acts(rehearsed), now = last_acts(run);
    value(name + ", the number of acts on keys", before.size(), now.size());
    for (std::size_t i = 0; i < std::min(before.size(), now.size()); ++i)
      act(name + ", ", before.at(i), now.at(i));
  }

  [[nodiscard]] std::vector<std::string> sentences() && { return std::move(out_); }

 private:
  static Json last_acts(const Json& step) {
    return step.at("attempts").empty() ? Json::array() : step.at("attempts").back().at("acts");
  }

  static std::string said_of_done(const Json& run) {
    if (run.at("done") == true) return " was done; in the rehearsal it was not.";
    if (run.at("unconfirmed").is_null()) return " was not done; in the rehearsal it was.";
    return " was not confirmed, though its act is done (log entry " + run.at("unconfirmed").dump() +
           "); in the rehearsal it was.";
  }

  static Json of_act(const Json& act, const char* key) {
    for (const char* part : {"result", "asked"})
      if (const auto found = act.at(part).find(key); found != act.at(part).end()) return *found;
    return nullptr;
  }

  void act(const std::string& where, const Json& rehearsed, const Json& run) {
    value(where + "the act", rehearsed.at("kind"), run.at("kind"));
    value(where + "the outcome of the act", rehearsed.at("outcome"), run.at("outcome"));
    value(where + "the wrap suite", of_act(rehearsed, "suite"), of_act(run, "suite"));
    Json before = of_act(rehearsed, "attributes"), now = of_act(run, "attributes");
    if (before.is_null()) before = Json::object();
    if (now.is_null()) now = Json::object();
    Json all = before;
    all.update(now);
    for (const auto& [name, ignored] : all.items())
      value(where + "attribute " + name, before.value(name, Json()), now.value(name, Json()));
  }

  std::vector<std::string> out_;
};

}  // namespace

Ending logged_ending(const History& history) {
  return {history.outcome, history.result.contains("why") ? encoding::text_member(history.result, "why") : "",
          encoding::text_member(history.result, "ended"), encoding::member(history.result, "comparison")};
}

bool has_planned_image(const Plan& plan, const Json& environment) {
  return plan.image.empty() || encoding::member(environment, "image") == plan.image;
}

Json make_record(const audit::LogCopy& log, const Plan& plan, const History& history, const Ending& ending) {
  const std::uint64_t end = history.end.value_or(log.state.size);
  Json out{{"format", kRecordFormat},
           {"ceremony", encoding::text_member(history.begin, "ceremony")},
           {"outcome", outcome_of(plan, history, ending)},
           {"interruptions", interruptions_of(history, ending)},
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
           {"demonstration", encoding::bool_member(log.state.genesis, "insecure_demo")},
           {"place", text_or_null(plan.place)},
           {"people", people_of(plan)},
           {"checkpoints", {{"before", checkpoint_of(log, history.seq)}, {"after", checkpoint_of(log, end)}}},
           {"began", format_time(history.began)},
           {"ended", ending.time},
           {"comparison", ending.comparison},
           {"steps", Json::array()}};
  for (const char* key :
       {"approvers", "signatures", "rejections", "environment", "policy", "rehearsal_sha256", "stand_ins"})
    out[key] = encoding::member(history.begin, key);
  for (const Step& step : plan.steps) out["steps"].push_back(step_of(step, history));
  return out;
}

std::vector<std::string> differences(const Json& rehearsal, const Json& record) {
  static constexpr std::pair<const char*, const char*> kFacts[] = {
      {"image", "The running image (root hash)"},
      {"os", "The operating system"},
      {"software", "The software"},
      {"binary_sha256", "The program (SHA-256)"},
      {"module_sha256", "The token's module (SHA-256)"},
      {"signing", "The token's way of signing"},
      {"suites", "The wrap suites that the token serves"},
      {"lacking", "The key attributes that the token lacks"},
      {"anchor", "Whether the token keeps the log's anchor"}};
  Comparison out;
  try {
    out.value("The plan (SHA-256)", rehearsal.at("plan").at("sha256"), record.at("plan").at("sha256"));
    const Json &before = rehearsal.at("environment"), &now = record.at("environment");
    for (const auto& [key, name] : kFacts) out.value(name, before.at(key), now.at(key));
    for (const std::string key : {"manufacturer", "model", "firmware"})
      out.value("The token's " + key, before.at("token").at(key), now.at("token").at(key));
    const Json &was = rehearsal.at("steps"), &is = record.at("steps");
    out.value("The number of steps", was.size(), is.size());
    for (std::size_t i = 0; i < std::min(was.size(), is.size()); ++i) out.step(was.at(i), is.at(i));
  } catch (const Json::exception&) {
    throw Error(ErrorKind::Malformed, "the rehearsal's record is not one of this program's");
  }
  return std::move(out).sentences();
}

}  // namespace qpcseal::ceremony
