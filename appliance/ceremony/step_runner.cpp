// SPDX-License-Identifier: Apache-2.0
#include "appliance/ceremony/step_runner.h"

#include <algorithm>

#include "appliance/audit/receipt.h"
#include "appliance/ceremony/steps.h"
#include "appliance/mek/backup.h"
#include "appliance/site/logged_act.h"
#include "base/current_error.h"
#include "base/file.h"
#include "base/file_name.h"
#include "base/terminal.h"
#include "encoding/pgp_words.h"

namespace qpcseal::ceremony {

namespace {

using encoding::Json;

constexpr std::string_view kApprovalDomain = "qpcseal/ceremony-step/1";

std::string words_of(const std::string& sha256) {
  return encoding::word_lines(from_hex(sha256), "    ", text_columns());
}

// What people check against the screen and write down.
std::string seen(const LoggedAct& act) {
  std::string out = "  log entry " + std::to_string(act.seq) + ": " + act.kind + " " + act.outcome + "\n";
  for (const char* key : {"mek", "label", "mek_id", "recovery_key_sha256", "backup_sha256", "check_value"}) {
    for (const Json* source : {&act.data, &act.intent}) {
      const auto found = source->find(key);
      if (found == source->end() || !found->is_string()) continue;
      out += "  " + std::string(key) + ": " + found->get<std::string>() + "\n";
      break;
    }
  }
  return out;
}

}  // namespace

Json step_data(const CeremonyIds& frame, const std::string& step, std::uint64_t attempt) {
  return {
      {"ceremony", frame.ceremony}, {"plan_sha256", frame.plan_sha256}, {"step", step}, {"attempt", attempt}};
}

History StepRunner::history() const {
  auto found = find_history(audit::read_log(appliance_.home().log(), std::nullopt), frame_.plan_sha256);
  if (!found) throw Error(ErrorKind::Internal, "a ceremony that is not in the log");
  return std::move(*found);
}

std::filesystem::path StepRunner::output_path(const Step& step) const {
  return folder_ / step_output(step).value_or("");
}

Json StepRunner::find_approval(const Step& step, const Attempt& attempt) const {
  Bytes text = copy(view(kApprovalDomain));
  text.push_back(0);
  append(text, from_hex(frame_.plan_sha256));
  append(text, from_hex(frame_.ceremony));
  append_lp16(text, view(step.id));
  append_be(text, attempt.number, 8);
  Json out = step_data(frame_, step.id, attempt.number);
  out["nonce"] = sha256_hex(text);
  out["approvers"] = frame_.approvers;
  return out;
}

void StepRunner::close(const Attempt& attempt, const std::string& outcome, Json data) {
  appliance_.log().result({attempt.seq, attempt.txn, "ceremony-step"}, outcome, std::move(data));
}

Attempt StepRunner::begin(const Step& step) {
  const History before = history();
  const Attempt* last = before.last_attempt(step.id);
  if (last != nullptr && last->outcome.empty()) return *last;
  Attempt next;
  next.number = last == nullptr ? 1 : last->number + 1;
  Json data = step_data(frame_, step.id, next.number);
  data["act"] = step.act;
  const audit::Txn txn = appliance_.log().intent("ceremony-step", std::move(data));
  next.seq = txn.seq;
  next.txn = txn.id;
  return next;
}

bool StepRunner::settle(const Step& step, Attempt& attempt) {
  if (step.act == "checkpoint")
    return digest_of_output(appliance_, step, attempt, output_path(step)).has_value();
  if (attempt.acts.empty()) return false;
  const LoggedAct& act = attempt.acts.back();
  if (act.outcome == "ok" ||
      (step_output(step) && digest_of_output(appliance_, step, attempt, output_path(step))))
    return true;
  Json data = step_data(frame_, step.id, attempt.number);
  data["act_result"] = {{"entry", act.seq}, {"outcome", act.outcome}};
  close(attempt, "failed", std::move(data));
  console_.say("  attempt " + std::to_string(attempt.number) + " came to nothing (" + act.outcome +
               "); it begins anew\n");
  attempt = begin(step);
  return false;
}

void StepRunner::act(const Step& step, const Attempt& attempt) {
  if (step.act == "manual") {
    console_.say("  do:         " + step.arguments.at("text") + "\n");
    while (console_.ask("  type 'done' when it is done: ") != "done") continue;
    return;
  }
  while (console_.ask("  type 'go' to do it: ") != "go") continue;
  appliance_.set_authority([&](const std::string& operation, const Json& parameters) {
    expect_planned(step, operation, parameters);
    if (appliance_.now() >= plan_.valid_until)
      throw Error(ErrorKind::ApprovalsMissing, "the plan was valid until " + format_time(plan_.valid_until));
    return find_approval(step, attempt);
  });
  try {
    carry_out(appliance_, step, folder_);
  } catch (...) {
    appliance_.set_authority(nullptr);
    const Error error = current_error();
    if (error.kind() == ErrorKind::DoneWithFault) {  // its output is completed by finish()
      console_.say("  warning:    " + std::string(error.what()) + "\n");
      return;
    }
    site::log_failure([&] {
      Json data = step_data(frame_, step.id, attempt.number);
      data["error"] = error.what();
      close(attempt, "failed", std::move(data));
    });
    throw error.in_context("step '" + step.id + "'")
        .with_hint("'qpcseal ceremony resume' tries it again; with --abandon it ends the ceremony");
  }
  appliance_.set_authority(nullptr);
}

// A drill's certificate is the receipt of its entry, and the log has a recovery key's file: both can be
// written at any time.
void StepRunner::complete_output(const Step& step, const Attempt& attempt) const {
  if (!step_output(step) || is_name_taken(output_path(step))) return;
  if (step.act == "recovery-key")
    write_file(output_path(step), keys::encode(mek::recovery_key_in_force(appliance_).file),
               Existing::Refuse);
  if (step.act != "mek-drill") return;
  const std::string text =
      audit::make_receipt(audit::read_log(appliance_.home().log(), std::nullopt), attempt.acts.back().seq);
  write_file(output_path(step), view(text), Existing::Refuse);
}

void StepRunner::finish(const Step& step, const Attempt& attempt) {
  const History now = history();
  const Attempt* last = now.last_attempt(step.id);
  if (last == nullptr || last->seq != attempt.seq) throw Error(ErrorKind::Internal, "a step that is lost");
  for (const LoggedAct& act : last->acts) console_.say(seen(act));
  complete_output(step, *last);
  Json data = step_data(frame_, step.id, attempt.number);
  data["outputs"] = Json::array();
  if (const auto output = step_output(step)) {
    const auto digest = digest_of_output(appliance_, step, *last, folder_ / *output);
    if (!digest)
      throw Error(ErrorKind::Denied,
                  "step '" + step.id + "': " + (folder_ / *output).string() +
                      " is not there, or not what the step wrote",
                  "put the step's own file back and 'qpcseal ceremony resume'; or end it with --abandon");
    console_.say("  " + *output + ": SHA-256 " + *digest + "\n");
    Json written{{"file", *output}, {"sha256", *digest}};
    if (step.act == "checkpoint") {
      say_root(written);
    } else {
      console_.say(words_of(*digest));
    }
    data["outputs"].push_back(std::move(written));
  }
  std::string initials;
  while (initials.empty()) initials = console_.ask("  witness, your initials: ");
  data["initials"] = initials;
  data["deviation"] = console_.ask("  deviation from the plan (Enter for none): ");
  close(attempt, "ok", std::move(data));
}

// What `qpcseal audit checkpoint` says of it: the words that are read aloud are the root's.
void StepRunner::say_root(Json& written) {
  const std::string note =
      read_text_file(folder_ / written.at("file").get<std::string>(), tlog::kMaxCheckpointSize);
  const tlog::Checkpoint point = tlog::parse_checkpoint(tlog::parse_note(note).text).checkpoint;
  const std::string root = to_hex(point.root);
  written["size"] = point.size;
  written["root"] = root;
  console_.say("  size: " + std::to_string(point.size) + "\n  root: " + root + "\n  the root in words:\n" +
               words_of(root));
}

void StepRunner::announce(const Step& step, std::size_t number) {
  console_.say("\nStep " + std::to_string(number) + " of " + std::to_string(plan_.steps.size()) + ": " +
               step.id + " (" + step.act + ")\n  who acts:   " + step.who + "\n  must see:   " + step.see +
               "\n");
  if (!step.say.empty()) console_.say("  read aloud: \"" + step.say + "\"\n");
  for (const auto& [name, value] : step.arguments)
    if (name != "text" && !name.ends_with("_sha256")) console_.say("  " + name + ": " + value + "\n");
  for (const Input& input : step_inputs(step))
    console_.say("  " + input.file + ": SHA-256 " + input.sha256 + ", by plan\n" + words_of(input.sha256));
}

void StepRunner::run(const Step& step, std::size_t number) {
  announce(step, number);
  Attempt attempt = begin(step);
  if (settle(step, attempt)) {
    console_.say("  it was done before the interruption\n");
  } else {
    act(step, attempt);
  }
  finish(step, attempt);
}

}  // namespace qpcseal::ceremony
