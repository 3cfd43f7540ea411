#include "policy/policy.h"

#include <memory>

#include "appliance/audit/read.h"
#include "appliance/cli/app.h"
#include "base/digest.h"
#include "base/file.h"

namespace qpcseal::cli {

namespace {

Report check(const std::string& path) {
  const Bytes bytes = read_file(path, policy::kMaxPolicySize);
  const policy::Policy parsed = policy::parse_policy(text_of(bytes), path);
  Report report;
  report.json = {{"serial", parsed.serial.value},
                 {"sha256", to_hex(sha256(bytes))},
                 {"warnings", nlohmann::ordered_json::array()}};
  report.text = "policy with serial " + std::to_string(parsed.serial.value) + " is well formed\nSHA-256 " +
                to_hex(sha256(bytes)) + "\n";
  for (const policy::Warning& warning : policy::lint(parsed)) {
    report.json["warnings"].push_back({{"rule", warning.rule}, {"text", warning.text}});
    report.text += "warning: " + printable(warning.rule + ": " + warning.text) + "\n";
  }
  return report;
}

Report show() {
  const release::Home home = release::locate_home();
  const audit::State state = audit::read_log(home.log(), std::nullopt).state;
  const policy::Policy parsed = release::read_policy(home, state);
  Report report;
  report.text = policy::show(parsed);
  report.json = {{"serial", parsed.serial.value}, {"sha256", state.policy_digest}, {"text", report.text}};
  return report;
}

}  // namespace

void add_policy(CLI::App& app, Context& context) {
  CLI::App* policy = app.add_subcommand("policy", "Which cards may have which keys");
  policy->require_subcommand(1);
  CLI::App* checking =
      policy->add_subcommand("check", "Read a policy strictly, warn of what matches too much");
  auto path = std::make_shared<std::string>();
  checking->add_option("FILE", *path, "A policy, TOML")->required();
  add_output_options(*checking, context);
  checking->callback([&context, path] { context.command = [path] { return check(*path); }; });
  CLI::App* showing = policy->add_subcommand("show", "The policy in force, in words");
  add_output_options(*showing, context);
  showing->callback([&context] { context.command = [] { return show(); }; });
}

}  // namespace qpcseal::cli
