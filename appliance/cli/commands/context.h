// SPDX-License-Identifier: Apache-2.0
// The command tree. Each command is one file with one add_* function; its callback stores what is to run.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>

#include "appliance/cli/confinement.h"
#include "appliance/cli/output/report.h"
#include "appliance/site/appliance.h"
#include "base/file.h"

namespace qpcseal::cli {

struct Output {
  std::filesystem::path path;
  Existing existing = Existing::Refuse;
};

// What a command refuses before the PIN is asked for, for it needs no token. The act refuses it again.
struct BeforePin {
  std::vector<std::filesystem::path> inputs = {};  // files or folders; Error{Io} for one that is missing
  std::vector<Output> outputs = {};                // files that it writes; Error{Io} where it could not
  // Error{ApprovalsMissing} where officers must agree to one of them, and no request that was given serves.
  std::vector<std::string> operations = {};
  std::function<void(const site::Outlook&)> look = {};  // what else the act checks
};

// Options that every command has, and the command that was chosen.
struct Context {
  bool json = false;
  std::optional<int> pin_fd;
  unsigned lock_timeout = 60;  // seconds
  bool last_try = false;       // log in although one more wrong PIN locks the token
  approval::ApprovalFiles approvals;
  std::optional<std::string> confirmed_date;
  audit::AppendStatus status;
  std::function<Report()> command;

  Confinement confinement;
  SystemClock clock;
  SystemRandom random;
  // The home and how to reach its token; says on the terminal when another qpcseal is at work. Checks
  // that `before.inputs`, the requests and signatures are there at once; the rest of `before` under the lock,
  // before the PIN is asked for, and not where an earlier run left what the start must settle first.
  [[nodiscard]] site::Environment environment(const BeforePin& before = {});
  // The same for a command that only reads: it waits for nobody (Error{Io} "lock-busy").
  [[nodiscard]] site::Environment environment_to_read();
  // Before the module of this site is loaded. Error{Io} where the kernel cannot confine it, and the facts do
  // not accept that.
  void confine(const site::Home& home, const site::Site& site, const audit::SiteFacts& facts);
};

// Adds --json, and for commands that open the token --pin-fd, --last-try and --lock-timeout.
void add_output_options(CLI::App& app, Context& context);
void add_token_options(CLI::App& app, Context& context);
void add_last_try(CLI::App& app, Context& context);  // part of it
// --clock, which the program takes before the command and each command that opens the token behind it.
void add_clock_option(CLI::App& app, Context& context);
// --request and --approval, for commands whose act officers may have to agree to.
void add_approval_options(CLI::App& app, Context& context);

void add_init(CLI::App& app, Context& context);
void add_doctor(CLI::App& app, Context& context);
void add_status(CLI::App& app, Context& context);
void add_mek(CLI::App& app, Context& context);
void add_mek_life(CLI::App& mek, Context& context);    // subcommands of mek
void add_mek_backup(CLI::App& mek, Context& context);  // likewise
void add_mek_drills(CLI::App& mek, Context& context);  // likewise
void add_recovery_key(CLI::App& app, Context& context);
void add_pin(CLI::App& app, Context& context);
void add_ceremony(CLI::App& app, Context& context);
void add_ceremony_check(CLI::App& ceremony, Context& context);  // subcommand of ceremony
void add_encrypt_model(CLI::App& app, Context& context);
void add_encrypt_with_session_keys(CLI::App& app, Context& context);
void add_wrap_mek(CLI::App& app, Context& context);
void add_replace_mek(CLI::App& app, Context& context);
void add_attest(CLI::App& app, Context& context);
void add_attest_request(CLI::App& attest, Context& context);
void add_plan(CLI::App& app, Context& context);
void add_policy(CLI::App& app, Context& context);
void add_trust(CLI::App& app, Context& context);
void add_approve(CLI::App& app, Context& context);
void add_officers(CLI::App& app, Context& context);
void add_officer_key(CLI::App& app, Context& context);
void add_genesis(CLI::App& app, Context& context);
void add_requests(CLI::App& app, Context& context);
void add_audit(CLI::App& app, Context& context);
void add_home(CLI::App& app, Context& context);
void add_site(CLI::App& app, Context& context);
void add_clock(CLI::App& app, Context& context);
void add_anchor_accept(CLI::App& audit, Context& context);  // subcommand of audit
void add_inspect(CLI::App& app, Context& context);
void add_completion(CLI::App& app, Context& context);
// What an option or an argument takes, for completion.
std::vector<std::string> completed_values(const std::string& name);
void add_run(CLI::App& app, Context& context);    // they run commands of `app`
void add_shell(CLI::App& app, Context& context);  // likewise

}  // namespace qpcseal::cli
