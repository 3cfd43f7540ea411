// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <exception>
#include <span>

#include "appliance/cli/commands/context.h"
#include "appliance/cli/commands/help.h"
#include "appliance/site/logged_act.h"
#include "base/build_commit.h"
#include "base/error.h"
#include "base/print.h"
#include "base/program.h"
#include "cli/completion.h"
#include "cli/exit_code.h"
#include "cli/man_page.h"
#include "cli/suggest.h"
#include "process/harden.h"

namespace qpcseal::cli {

namespace {

constexpr std::string_view kJson("--json");

int fail(const Error& error, bool json) {
  const int code = exit_code(error.kind());
  if (json) {
    nlohmann::ordered_json out = {
        {"error", {{"code", error.code()}, {"exit_code", code}, {"message", error.what()}}}};
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
  app.set_version_flag("--version,-V", version_line("qpcseal"));
  add_encrypt_model(app, context);
  add_encrypt_with_session_keys(app, context);
  add_wrap_mek(app, context);
  add_replace_mek(app, context);
  add_init(app, context);
  add_doctor(app, context);
  add_status(app, context);
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
  add_officer_key(app, context);
  add_genesis(app, context);
  add_audit(app, context);
  add_home(app, context);
  add_site(app, context);
  add_clock(app, context);
  add_inspect(app, context);
  add_run(app, context);
  add_shell(app, context);
  add_completion(app, context);
  add_help_commands(app);
  add_help(app);
}

// What is done without officers says so, each time.
void mark_demo(Report& report) {
  if (!site::is_demo_home()) return;
  print_error("qpcseal: this is a demonstration appliance (--insecure-demo): nobody signed its policy\n");
  if (report.json.is_object()) report.json["insecure_demo"] = true;
}

struct ReaderLeft {};

// In pieces of whole lines. ReaderLeft where nobody reads on.
void print_pieces(const Report& report, bool json) {
  constexpr std::size_t kPiece = std::size_t{1} << 16;  // bytes
  const Lines lines = json ? Lines::Keep : Lines::Wrap;
  std::string piece;
  put_report(report, json, [&](std::string_view text) {
    piece += text;
    if (piece.size() < kPiece || !piece.ends_with('\n')) return;
    print(piece, lines);
    if (reader_left()) throw ReaderLeft();
    piece.clear();
  });
  print(piece, lines);
}

// The act of a command is done when the log has it, whatever becomes of its report.
int print_report(const Report& report, bool json, bool acted) {
  try {
    print_pieces(report, json);
  } catch (const ReaderLeft&) {
    return report.exit_code;
  } catch (const Error& error) {
    if (!acted) throw;
    throw Error(ErrorKind::DoneWithFault, std::string("done and logged; ") + error.what(),
                "'qpcseal audit show' has what was done");
  }
  return report.exit_code;
}

// Where the log has what the command did.
void add_log_entry(Report& report, const audit::AppendStatus& status) {
  if (!report.json.is_object() || report.streamed) return;
  if (status.acted && status.last_entry) report.log_entry = status.last_entry;
  if (report.log_entry) report.json["log_entry"] = *report.log_entry;
}

// An act that is done and logged stays done where its output cannot be read again.
void add_outputs(Report& report, const audit::AppendStatus& status) {
  if (!status.acted) return add_written(report);
  site::after_result("the command is done", "the output's SHA-256 is not known; sha256sum(1) takes it",
                     [&] { add_written(report); });
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
  CLI::App app{"Seals AI models with a key in an HSM and releases the key to attested cards only.",
               "qpcseal"};
  Context context;
  add_commands(app, context);
  add_clock_option(app, context);
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (print_completions(app, words, completed_values)) return 0;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return print_help(app, error);
    const bool json = std::ranges::find(words, kJson) != words.end();
    if (const auto unknown = unknown_word(app, words)) return fail(*unknown, json);
    return fail({ErrorKind::Usage, error.what(), "qpcseal --help, or qpcseal COMMAND --help"}, json);
  } catch (const Error& error) {
    return fail(error, false);
  }
  try {
    context.confinement.begin(app, std::span(argv, static_cast<std::size_t>(argc)));
    Report report = context.command();
    mark_demo(report);
    add_log_entry(report, context.status);
    if (context.json) add_outputs(report, context.status);
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

}  // namespace qpcseal::cli

int main(int argc, char** argv) {
  try {
    qpcseal::process::harden();
    qpcseal::take_umask();
    return qpcseal::cli::run(argc, argv);
  } catch (const std::exception& error) {
    qpcseal::print_failure("qpcseal", error.what());
    return 1;
  }
}
