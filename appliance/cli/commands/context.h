// SPDX-License-Identifier: Apache-2.0
// The command tree. Each command is one file with one add_* function; its callback stores what is to run.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>

#include "appliance/cli/output/report.h"
#include "appliance/site/appliance.h"

namespace qpcseal::cli {

// Options that every command has, and the command that was chosen.
struct Context {
  bool json = false;
  std::optional<int> pin_fd;
  unsigned lock_timeout = 60;  // seconds
  approval::ApprovalFiles approvals;
  std::optional<std::string> confirmed_date;
  audit::AppendStatus status;
  std::function<Report()> command;

  SystemClock clock;
  SystemRandom random;
  // The home and how to reach its token; says on the terminal when another qpcseal is at work.
  [[nodiscard]] site::Environment environment();
};

// Adds --json, and for commands that open the token --pin-fd and --lock-timeout.
void add_output_options(CLI::App& app, Context& context);
void add_token_options(CLI::App& app, Context& context);
// --clock, which the program takes before the command and each command that opens the token behind it.
void add_clock_option(CLI::App& app, Context& context);
// --request and --approval, for commands whose act officers may have to agree to.
void add_approval_options(CLI::App& app, Context& context);

void add_init(CLI::App& app, Context& context);
void add_doctor(CLI::App& app, Context& context);
void add_mek(CLI::App& app, Context& context);
void add_mek_life(CLI::App& mek, Context& context);    // subcommands of mek
void add_mek_backup(CLI::App& mek, Context& context);  // likewise
void add_mek_drills(CLI::App& mek, Context& context);  // likewise
void add_recovery_key(CLI::App& app, Context& context);
void add_pin(CLI::App& app, Context& context);
void add_ceremony(CLI::App& app, Context& context);
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
void add_genesis(CLI::App& app, Context& context);
void add_requests(CLI::App& app, Context& context);
void add_audit(CLI::App& app, Context& context);
void add_home(CLI::App& app, Context& context);
void add_site(CLI::App& app, Context& context);
void add_clock(CLI::App& app, Context& context);
void add_anchor_accept(CLI::App& audit, Context& context);  // subcommand of audit
void add_inspect(CLI::App& app, Context& context);

}  // namespace qpcseal::cli
