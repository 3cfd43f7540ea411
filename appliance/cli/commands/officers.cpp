// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "appliance/audit/read.h"
#include "appliance/cli/commands/context.h"
#include "appliance/cli/commands/sign.h"
#include "appliance/site/genesis.h"
#include "appliance/site/pinned_files.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/terminal.h"
#include "encoding/pgp_words.h"

namespace qpcseal::cli {

namespace {

nlohmann::ordered_json names_json(const std::vector<approval::Approver>& approvers) {
  auto out = nlohmann::ordered_json::array();
  for (const auto& approver : approvers)
    out.push_back({{"name", approver.name}, {"fingerprint", approver.fingerprint}});
  return out;
}

// Who is listed: the file in force, or another one.
Report show_officers(const std::string& path) {
  std::string text;
  if (path.empty()) {
    const site::Home home = site::locate_home();
    const audit::State state = audit::read_log(home.log(), std::nullopt).state;
    static_cast<void>(approval::read_officers(home.officers(), state));
    text = read_text_file(home.officers(), approval::kMaxOfficersFile);
  } else {
    text = read_text_file(path, approval::kMaxOfficersFile);
  }
  const approval::Officers officers =
      with_context(path.empty() ? "the officers file" : path, [&] { return approval::parse_officers(text); });
  Report report;
  report.json = {{"sha256", to_hex(officers.digest)}, {"officers", nlohmann::ordered_json::array()}};
  std::vector<std::vector<std::string>> rows{{"OFFICER", "KEY", "FINGERPRINT", "SIGNS IN"}};
  for (const approval::Officer& officer : officers.list) {
    std::string spaces;
    for (const auto& each : officer.namespaces) spaces += (spaces.empty() ? "" : ", ") + printable(each);
    const std::string fingerprint = approval::ssh_fingerprint(officer.key.blob);
    rows.push_back({officer.name, officer.key.type, fingerprint, spaces});
    report.json["officers"].push_back({{"name", officer.name},
                                       {"type", officer.key.type},
                                       {"fingerprint", fingerprint},
                                       {"namespaces", officer.namespaces}});
  }
  report.text = table(rows) + "SHA-256 " + to_hex(officers.digest) + "\n";
  return report;
}

Report install_officers(Context& context, const std::string& path) {
  const auto look = [&](const site::Outlook& outlook) {
    const std::string next = site::check_next_officers(outlook, path);
    static_cast<void>(site::judge_act(outlook, "officers-change", site::officers_parameters(next)));
  };
  site::Appliance appliance(context.environment({.inputs = {path}, .look = look}));
  const site::Installed done = site::install_officers(appliance, path);
  Report report;
  report.json = {{"officers_sha256", done.digest}};
  report.text = "the officers are now those of " + printable(path) + ", SHA-256 " + done.digest + "\n";
  return report;
}

Report show_genesis(const std::string& output) {
  const site::Home home = site::locate_home();
  const audit::LogCopy log = audit::read_log(home.log(), std::nullopt);
  if (log.state.officers_digest.empty())
    throw Error(ErrorKind::Usage, "this appliance has no officers: nobody signs its genesis");
  const std::string text = site::genesis_text(log.state, log.tree.leaf(0));
  Report report;
  const Sha256Digest digest = sha256(view(text));
  report.json = {{"accepted", log.state.genesis_accepted},
                 {"sha256", to_hex(digest)},
                 {"words", encoding::to_words(digest)}};
  report.text =
      text + "\nSHA-256 " + to_hex(digest) + "\n" + encoding::word_lines(digest, "  ", text_columns());
  if (output.empty()) return report;
  write_file(output, view(text), Existing::Refuse);
  report.json["output"] = output;
  report.written = {output};
  report.log_entry = log.state.size - 1;
  report.text += "\nin " + output + ": every officer signs it by " +
                 how_to_sign(output, "qpcseal approve", "approval@qpcseal");
  return report;
}

Report accept_genesis(Context& context) {
  const auto look = [](const site::Outlook& outlook) { static_cast<void>(site::check_genesis(outlook)); };
  site::Appliance appliance(context.environment({.look = look}));
  const auto approvers = site::accept_genesis(appliance);
  Report report;
  report.json = {{"accepted", true}, {"approvers", names_json(approvers)}};
  report.text =
      "the genesis is accepted by " + approval::approver_names(approvers) + "; MEKs may now be made\n";
  return report;
}

}  // namespace

void add_officers(CLI::App& app, Context& context) {
  CLI::App* officers = app.add_subcommand("officers", "Who may approve");
  officers->require_subcommand(1);
  auto path = std::make_shared<std::string>();
  CLI::App* showing = officers->add_subcommand("show", "The officers in force, or those of a file");
  showing->add_option("FILE", *path, "An officers file (OpenSSH allowed_signers)");
  add_output_options(*showing, context);
  showing->callback([&context, path] { context.command = [path] { return show_officers(*path); }; });
  CLI::App* installing = officers->add_subcommand(
      "install", "The next officers file; a quorum of the present officers signed a request for it");
  auto next = std::make_shared<std::string>();
  installing->add_option("FILE", *next, "The next officers file")->required();
  add_output_options(*installing, context);
  add_token_options(*installing, context);
  add_approval_options(*installing, context);
  installing->callback(
      [&context, next] { context.command = [&context, next] { return install_officers(context, *next); }; });
}

void add_genesis(CLI::App& app, Context& context) {
  CLI::App* genesis = app.add_subcommand("genesis", "How this appliance began, signed by every officer");
  genesis->require_subcommand(1);
  auto output = std::make_shared<std::string>();
  CLI::App* showing = genesis->add_subcommand("show", "What officers sign; needs the home, but no token");
  showing->add_option("-o,--output", *output, "File for it");
  add_output_options(*showing, context);
  showing->callback([&context, output] { context.command = [output] { return show_genesis(*output); }; });
  CLI::App* accepting =
      genesis->add_subcommand("accept", "Record that every officer signed; no MEK is made before");
  accepting->add_option("--approval", context.approvals.signatures, "An officer's signature")->required();
  add_output_options(*accepting, context);
  add_token_options(*accepting, context);
  accepting->callback([&context] { context.command = [&context] { return accept_genesis(context); }; });
}

}  // namespace qpcseal::cli
