// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <memory>
#include <optional>

#include "appliance/audit/read.h"
#include "appliance/cli/commands/context.h"
#include "appliance/cli/commands/sign.h"
#include "appliance/site/pinned_files.h"
#include "appliance/verdict/changed_verdicts.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "policy/diff.h"
#include "policy/policy.h"

namespace qpcseal::cli {

namespace {

using OrderedJson = nlohmann::ordered_json;

policy::Policy read_policy_file(const std::string& path) {
  return policy::parse_policy(read_text_file(path, policy::kMaxPolicySize), path);
}

Report check_policy(const std::string& path) {
  const Bytes bytes = read_file(path, policy::kMaxPolicySize);
  const policy::Policy parsed = policy::parse_policy(text_view(bytes), path);
  Report report;
  report.json = {{"serial", parsed.serial.value},
                 {"appliance", parsed.appliance.value},
                 {"sha256", sha256_hex(bytes)},
                 {"warnings", OrderedJson::array()}};
  report.text = "policy with serial " + std::to_string(parsed.serial.value) + " for appliance " +
                parsed.appliance.value + " is well formed\nSHA-256 " + sha256_hex(bytes) + "\n";
  for (const policy::Warning& warning : policy::lint(parsed)) {
    report.json["warnings"].push_back({{"rule", warning.rule}, {"text", warning.text}});
    report.text += "warning: " + printable(warning.rule + ": " + warning.text) + "\n";
  }
  return report;
}

Report show_policy() {
  const site::Home home = site::locate_home();
  const audit::State state = audit::read_log(home.log(), std::nullopt).state;
  const policy::Policy parsed = site::read_policy(home, state);
  Report report;
  report.text = policy::show(parsed);
  report.json = {{"serial", parsed.serial.value},
                 {"appliance", parsed.appliance.value},
                 {"sha256", state.policy_digest},
                 {"text", report.text}};
  return report;
}

std::string changes_text(const std::vector<policy::Change>& changes) {
  std::string out;
  for (const policy::Change& change : changes) {
    out += printable(change.rule) + "\n";
    if (change.before) out += "  was " + printable(*change.before) + "\n";
    out += change.after ? "  is  " + printable(*change.after) + "\n" : "  is gone\n";
  }
  return out;
}

// The policy that is in force, or that the officer named for it; nothing where none is at hand.
std::optional<policy::Policy> policy_before(const std::string& against) {
  if (!against.empty()) return read_policy_file(against);
  const auto home = site::find_home();
  if (!home) return std::nullopt;
  return site::read_policy(*home, audit::read_log(home->log(), std::nullopt).state);
}

std::string difference_to(const std::optional<policy::Policy>& before, const policy::Policy& next) {
  if (!before)
    return "\nNOT COMPARED: the policy in force is not at hand (--against FILE shows what changes)\n";
  const std::string serial = std::to_string(before->serial.value);
  const auto changes = policy::diff(*before, next);
  return "\nWhat changes against the policy with serial " + serial + ":\n" +
         (changes.empty() ? "the two policies mean the same\n" : changes_text(changes));
}

// The serial must rise, or the policy cannot come into force.
void refuse_old_serial(const policy::Policy& next, const std::string& against) {
  const auto home = against.empty() ? site::find_home() : std::nullopt;
  if (!home) return;
  const audit::State state = audit::read_log(home->log(), std::nullopt).state;
  if (encoding::text_member(state.genesis, "appliance_id") != next.appliance.value) return;
  if (next.serial.value > state.policy_serial) return;
  throw Error(ErrorKind::Denied,
              "not signed: this policy has serial " + std::to_string(next.serial.value) +
                  ", and the one in force has " + std::to_string(state.policy_serial),
              "'qpcseal audit show --kind policy' says since when; a new policy needs a greater serial");
}

// The officer reads what the policy means, what is odd about it, and what it changes.
Signing signing_of_policy(const std::string& path, const std::string& against, UnixTime now) {
  const std::string text = read_text_file(path, policy::kMaxPolicySize);
  const policy::Policy parsed = policy::parse_policy(text, path);
  if (now >= parsed.expires.value)
    throw Error(ErrorKind::Denied,
                "not signed: this policy expired at " + format_time(parsed.expires.value) + ", and it is " +
                    format_time(now),
                "give it a later 'expires' and a greater serial");
  refuse_old_serial(parsed, against);
  std::string shown = policy::show(parsed);
  for (const policy::Warning& warning : policy::lint(parsed))
    shown += "\nwarning: " + warning.rule + ": " + warning.text;
  shown += (shown.ends_with('\n') ? "" : "\n") + difference_to(policy_before(against), parsed);
  return {path, text, {{shown}}, std::string(site::kPolicyNamespace)};
}

Report install_policy(Context& context, const std::string& path) {
  const auto look = [&](const site::Outlook& outlook) {
    static_cast<void>(site::check_next_policy(outlook, path));
  };
  site::Appliance appliance(context.environment({.inputs = {path}, .look = look}));
  const auto done = site::install_policy(appliance, path);
  Report report;
  std::string names;
  for (const auto& approver : done.approvers) names += " " + approver.name;
  report.json = {{"serial", done.serial}, {"sha256", done.digest}, {"approvers", done.approvers.size()}};
  report.text = "policy with serial " + std::to_string(done.serial) + " is in force, SHA-256 " + done.digest +
                "\nsigned by" + (names.empty() ? " nobody" : names) + "\n";
  return report;
}

void add_changes(Report& report, const std::vector<policy::Change>& changes) {
  report.json["changes"] = OrderedJson::array();
  for (const policy::Change& change : changes) {
    OrderedJson item{{"rule", change.rule}, {"before", nullptr}, {"after", nullptr}};
    if (change.before) item["before"] = *change.before;
    if (change.after) item["after"] = *change.after;
    report.json["changes"].push_back(std::move(item));
  }
  report.text += changes.empty() ? "the two policies mean the same\n" : changes_text(changes);
}

const char* word(bool allowed) { return allowed ? "ALLOWED" : "DENIED"; }

void add_changes(Report& report, const std::vector<verdict::ChangedVerdict>& replayed) {
  OrderedJson& list = report.json["verdicts"] = OrderedJson::array();
  std::size_t changed = 0;
  for (const verdict::ChangedVerdict& each : replayed) {
    list.push_back({{"report_sha256", each.report},
                    {"ueid", each.ueid},
                    {"before", each.before},
                    {"after", each.after},
                    {"findings_before", as_json(each.why_before)},
                    {"findings_after", as_json(each.why_after)}});
    if (each.before == each.after) continue;
    ++changed;
    report.text += "report " + each.report + " of card " + each.ueid + ": was " + word(each.before) +
                   ", would be " + word(each.after) + "\n";
    for (const std::string& line : finding_lines(each.after ? each.why_before : each.why_after))
      report.text += "  " + line + "\n";
  }
  report.json["verdicts_changed"] = changed;
  report.text += std::to_string(replayed.size()) + " archived report(s) replayed, " +
                 std::to_string(changed) + " verdict(s) change\n";
}

// Judged again where this machine has an appliance.
Report diff(const std::string& old_path, const std::string& new_path) {
  const policy::Policy before = read_policy_file(old_path), after = read_policy_file(new_path);
  Report report;
  add_changes(report, policy::diff(before, after));
  const site::Home home = site::locate_home();
  if (!std::filesystem::exists(home.site())) return report;
  add_changes(report,
              verdict::changed_verdicts(home, audit::read_log(home.log(), std::nullopt), before, after));
  return report;
}

CLI::App* add_file_command(CLI::App& parent, const char* name, const char* help,
                           const std::shared_ptr<std::string>& path) {
  CLI::App* command = parent.add_subcommand(name, help);
  command->add_option("FILE", *path, "A policy, TOML")->required();
  return command;
}

void add_diff(CLI::App& parent, Context& context) {
  CLI::App* command = parent.add_subcommand(
      "diff", "What changes between two policies, and for which reports that the home keeps");
  auto before = std::make_shared<std::string>(), after = std::make_shared<std::string>();
  command->add_option("OLD", *before, "A policy, TOML")->required();
  command->add_option("NEW", *after, "Another one")->required();
  add_output_options(*command, context);
  command->callback(
      [&context, before, after] { context.command = [before, after] { return diff(*before, *after); }; });
}

}  // namespace

void add_policy(CLI::App& app, Context& context) {
  CLI::App* policy = app.add_subcommand("policy", "Which cards may have which keys");
  policy->require_subcommand(1);
  auto path = std::make_shared<std::string>();
  CLI::App* checking =
      add_file_command(*policy, "check", "Read a policy strictly, warn of what matches too much", path);
  add_output_options(*checking, context);
  checking->callback([&context, path] { context.command = [path] { return check_policy(*path); }; });
  CLI::App* showing = policy->add_subcommand("show", "The policy in force, in words");
  add_output_options(*showing, context);
  showing->callback([&context] { context.command = [] { return show_policy(); }; });
  CLI::App* signing = add_file_command(*policy, "sign", "Sign a policy with an officer's own token", path);
  auto against = std::make_shared<std::string>();
  signing->add_option(
      "--against", *against,
      "Show what changes against this policy (default: the one in force, where the home is here)");
  auto options = add_sign_options(*signing, context);
  signing->callback([&context, path, against, options] {
    context.command = [&context, path, against, options] {
      return sign(context, signing_of_policy(*path, *against, context.clock.now()), *options);
    };
  });
  CLI::App* installing =
      add_file_command(*policy, "install", "Bring a policy into force that enough officers signed", path);
  installing->add_option("--approval", context.approvals.signatures,
                         "An officer's signature, in namespace policy@qpcseal");
  add_output_options(*installing, context);
  add_token_options(*installing, context);
  installing->callback(
      [&context, path] { context.command = [&context, path] { return install_policy(context, *path); }; });
  add_diff(*policy, context);
}

}  // namespace qpcseal::cli
