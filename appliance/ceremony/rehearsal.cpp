// SPDX-License-Identifier: Apache-2.0
#include "appliance/ceremony/rehearsal.h"

#include "appliance/approval/quorum.h"
#include "appliance/ceremony/preflight.h"
#include "appliance/ceremony/record.h"
#include "appliance/site/archive.h"
#include "base/error.h"
#include "base/file.h"
#include "encoding/file_kind.h"

namespace qpcseal::ceremony {

namespace {

using encoding::Json;

// Whole, before anything is done by it: every member that is read later is there, and every step.
void check_rehearsal(const Json& record, const std::string& from, const Plan& plan) {
  const auto bad = [&] {
    return Error(ErrorKind::Malformed, from + " is not a record as 'qpcseal ceremony rehearse' writes it");
  };
  try {
    if (record.at("format") != kRecordFormat) throw bad();
    if (record.at("plan").at("sha256") != plan.sha256)
      throw Error(ErrorKind::Denied, from + " is not the record of a rehearsal of this plan");
    static_cast<void>(differences(record, record));
    const Json& steps = record.at("steps");
    if (!record.at("stand_ins").is_array() || !steps.is_array() || steps.size() != plan.steps.size())
      throw bad();
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const Json &step = steps.at(i), &attempts = step.at("attempts");
      if (step.at("id") != plan.steps[i].id || step.at("act") != plan.steps[i].act || !attempts.is_array())
        throw bad();
      if (step.at("done") != true || attempts.empty() || attempts.back().at("outcome") != "ok")
        throw Error(ErrorKind::Denied, "the rehearsal was not completed");
    }
  } catch (const Json::exception&) {
    throw bad();
  }
}

Rehearsal parse_rehearsal(const std::string& text, const std::string& from, const Plan& plan) {
  return with_context(from, [&] {
    return encoding::as_kind(view(text), "a ceremony's record", [&] {
      Rehearsal out{encoding::parse_json(text, "record"), text, sha256_hex(text)};
      check_rehearsal(out.record, "it", plan);
      return out;
    });
  });
}

std::optional<Rehearsal> read_rehearsal(const CeremonyInputs& inputs) {
  if (!inputs.rehearsal) return std::nullopt;
  return parse_rehearsal(read_text_file(*inputs.rehearsal, kMaxRecord), inputs.rehearsal->string(),
                         inputs.plan);
}

}  // namespace

std::optional<Rehearsal> begun_with(const site::Home& home, const CeremonyInputs& inputs, const Json& begin) {
  const Json& digest = encoding::member(begin, "rehearsal_sha256");
  if (auto given = read_rehearsal(inputs)) {
    if (digest != given->sha256)
      throw Error(ErrorKind::Denied,
                  "the ceremony was begun with another rehearsal, or none: " + digest.dump());
    return given;
  }
  if (digest.is_null()) return std::nullopt;
  try {
    const std::string text = site::archive_get(home, digest.get<std::string>(), kRehearsalExtension);
    Rehearsal out = parse_rehearsal(text, "the rehearsal's record that was kept", inputs.plan);
    if (digest == out.sha256) return out;
  } catch (const Error&) {
    return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Rehearsal> given_rehearsal(const CeremonyInputs& inputs) {
  auto out = read_rehearsal(inputs);
  if (!out && inputs.plan.rehearsed)
    throw Error(ErrorKind::Denied, "the plan requires a rehearsal first",
                "'qpcseal ceremony rehearse', then --rehearsal RECORD");
  return out;
}

std::optional<Rehearsal> expect_rehearsal(const CeremonyInputs& inputs, const Json& environment) {
  auto out = given_rehearsal(inputs);
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
  return out;
}

}  // namespace qpcseal::ceremony
