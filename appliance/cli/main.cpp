// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <exception>

#include "appliance/cli/commands/context.h"
#include "appliance/cli/commands/help.h"
#include "appliance/cli/harden.h"
#include "appliance/site/logged_act.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/print.h"
#include "base/program.h"
#include "cli/exit_code.h"
#include "cli/man_page.h"

namespace qpcseal::cli {

namespace {

constexpr std::string_view kJson("--json");

int fail(const Error& error, bool json) {
  const int code = exit_code(error.kind());
  if (json) {
    nlohmann::ordered_json out = {{"error", {{"exit_code", code}, {"message", error.what()}}}};
    if (!error.hint().empty()) out["error"]["hint"] = error.hint();
    if (!error.findings().empty()) out["error"]["findings"] = as_json(error.findings());
    try {
      print(json_text(out));
    } catch (const Error&) {
      if (error.kind() != ErrorKind::DoneWithFault) throw;  // standard output is what failed
    }
  }
  print_failure("qpcseal", error.what());
  for (const std::string& line : finding_lines(error.findings())) print_error("  " + line + "\n");
  if (!error.hint().empty()) print_error("hint: " + printable(error.hint()) + "\n");
  return code;
}

void add_commands(CLI::App& app, Context& context) {
  app.require_subcommand(1);
  app.set_version_flag("--version", "qpcseal " + std::string(software_version()));
  add_encrypt_model(app, context);
  add_encrypt_with_session_keys(app, context);
  add_wrap_mek(app, context);
  add_replace_mek(app, context);
  add_init(app, context);
  add_doctor(app, context);
  add_mek(app, context);
  add_recovery_key(app, context);
  add_pin(app, context);
  add_ceremony(app, context);
  add_attest(app, context);
  add_plan(app, context);
  add_policy(app, context);
  add_trust(app, context);
  add_requests(app, context);
  add_approve(app, context);
  add_officers(app, context);
  add_genesis(app, context);
  add_audit(app, context);
  add_home(app, context);
  add_site(app, context);
  add_clock(app, context);
  add_inspect(app, context);
  add_help(app);
}

// What is done without officers says so, each time.
void mark_demo(Report& report) {
  if (!site::is_demo_home()) return;
  print_error("qpcseal: this is a demonstration appliance (--insecure-demo): nobody signed its policy\n");
  if (report.json.is_object()) report.json["insecure_demo"] = true;
}

// In pieces of whole lines.
void print_pieces(const Report& report, bool json) {
  constexpr std::size_t kPiece = std::size_t{1} << 16;  // bytes
  std::string piece;
  put_report(report, json, [&](std::string_view text) {
    piece += text;
    if (piece.size() < kPiece || !piece.ends_with('\n')) return;
    print(piece);
    piece.clear();
  });
  print(piece);
}

// The act of a command is done when the log has it, whatever becomes of its report.
int print_report(const Report& report, bool json, bool acted) {
  try {
    print_pieces(report, json);
  } catch (const Error& error) {
    if (!acted) throw;
    throw Error(ErrorKind::DoneWithFault, std::string("done and logged; ") + error.what(),
                "'qpcseal audit show' has what was done");
  }
  return report.exit_code;
}

// What failed behind entries that are in the log, where the command itself did not fail.
int end(const audit::AppendStatus& status, int code) {
  for (const std::string& fault : status.faults)
    print_error("qpcseal: error: done and logged; " + printable(fault) + "\n");
  if (status.faults.empty()) return code;
  print_error("hint: the next command tries it again ('qpcseal mek list')\n");
  return code == 0 ? exit_code(ErrorKind::DoneWithFault) : code;
}

int run(int argc, char** argv) {
  CLI::App app{"Seals AI models with a key in an HSM and releases the key to attested cards only."};
  Context context;
  add_commands(app, context);
  add_clock_option(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return print_help(app, error);
    const bool json = std::any_of(argv, argv + argc, [](const char* word) { return word == kJson; });
    return fail({ErrorKind::Usage, error.what(), "qpcseal --help, or qpcseal COMMAND --help"}, json);
  }
  try {
    Report report = context.command();
    mark_demo(report);
    if (!context.status.faults.empty() && report.json.is_object())
      report.json["faults"] = context.status.faults;
    return end(context.status, print_report(report, context.json, context.status.acted));
  } catch (const Error& error) {
    return fail(error, context.json);
  } catch (const std::exception& error) {
    return fail(as_error(error), context.json);
  }
}

}  // namespace

site::Environment Context::environment() {
  return {site::locate_home(),
          clock,
          random,
          pin_fd,
          lock_timeout,
          [](const std::string& holder) {
            print_error("qpcseal: waiting for another qpcseal (" + printable(holder) + ")\n");
          },
          approvals,
          confirmed_date,
          &status,
          [](const std::string& warning) { print_error("qpcseal: warning: " + printable(warning) + "\n"); }};
}

void add_clock_option(CLI::App& app, Context& context) {
  app.add_option("--clock", context.confirmed_date,
                 "Today's date (UTC), where a command asks for it: YYYY-MM-DD");
}

void add_output_options(CLI::App& app, Context& context) {
  app.add_flag("--json", context.json, "Print the result as JSON");
}

void add_token_options(CLI::App& app, Context& context) {
  app.add_option("--pin-fd", context.pin_fd, "Read the token's PIN from this descriptor")
      ->check(CLI::Range(0, 1023));
  app.add_option("--lock-timeout", context.lock_timeout, "Seconds to wait for another qpcseal (default 60)");
  add_clock_option(app, context);
}

void add_approval_options(CLI::App& app, Context& context) {
  app.add_option("--request", context.approvals.requests,
                 "Request for approval of this act ('qpcseal request new')");
  app.add_option("--approval", context.approvals.signatures,
                 "An officer's signature of it ('qpcseal approve', or ssh-keygen -Y sign)");
}

}  // namespace qpcseal::cli

int main(int argc, char** argv) {
  try {
    qpcseal::cli::harden_process();
    return qpcseal::cli::run(argc, argv);
  } catch (const std::exception& error) {
    qpcseal::print_failure("qpcseal", error.what());
    return 1;
  }
}
