// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <exception>
#include <span>

#include "base/build_commit.h"
#include "base/clock.h"
#include "base/print.h"
#include "base/program.h"
#include "cli/completion.h"
#include "cli/exit_code.h"
#include "cli/man_page.h"
#include "cli/named_files.h"
#include "cli/suggest.h"
#include "device/cli/commands.h"
#include "device/loader/load_commands.h"
#include "process/file_access.h"
#include "process/harden.h"
#include "process/system_calls.h"

namespace qpcseal::device {
namespace {

int fail(int code, const std::string& message, const std::string& hint) {
  print_failure("qpcseal-device", message, hint);
  return code;
}

void add_commands(CLI::App& app, Context& context) {
  app.require_subcommand(1);
  app.set_version_flag("--version,-V", version_line("qpcseal-device"));
  app.footer(
      "Exit codes: 0 done, 1 internal, 2 usage, 3 input/output, 4 malformed input, 5 refused by the card.\n"
      "Simulated cards keep their keys in files: they are for trials and tests, never for real models.");
  add_provision(app, context);
  add_list(app, context);
  add_describe(app, context);
  add_set_seal_key(app, context);
  add_serve(app, context);
  add_attest(app, context);
  add_reset(app, context);
  add_load(app, context);
  add_compare(app, context);
  add_sample(app, context);
  cli::add_help_commands(app);
  cli::add_manual(app, {"qpcseal-device",
                        "simulated cards, their session service and a reference loader",
                        std::string(software_version()),
                        format_time(build_time()).substr(0, 10),
                        {},
                        {"qpcseal(1)", "qpcseal-attest(1)"}});
}

// The card that answers has sockets; every other command has files alone.
void confine(const CLI::App& app, std::span<char* const> words) {
  constexpr std::array<std::string_view, 6> kWritten = {
      "--dir", "--out", "--roots-out", "--port-file", "--attestation_report", "--output"};
  const CLI::App& command = cli::chosen_command(app);
  process::close_others(process::named_descriptors(words));
  const bool serves = command.get_name() == "serve";
  static_cast<void>(process::filter_calls(serves ? process::Calls::Network : process::Calls::Files));
  process::FileAccess files = process::system_files();
  const cli::NamedFiles named = cli::named_files(command, kWritten);
  files.read.insert(files.read.end(), named.read.begin(), named.read.end());
  files.write.insert(files.write.end(), named.write.begin(), named.write.end());
  static_cast<void>(process::restrict_files(files));
}

int run(int argc, char** argv) {
  CLI::App app{"Simulated accelerator cards, their session service and a reference loader.",
               "qpcseal-device"};
  Context context;
  add_commands(app, context);
  if (cli::print_completions(app, {argv + 1, argv + argc},
                             [](const auto&) { return std::vector<std::string>(); }))
    return 0;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return cli::print_help(app, error);
    if (const auto unknown = cli::unknown_word(app, {argv + 1, argv + argc}))
      return fail(2, unknown->what(), unknown->hint());
    return fail(2, error.what(), "qpcseal-device --help, or qpcseal-device COMMAND --help");
  } catch (const Error& error) {
    return fail(cli::exit_code(error.kind()), error.what(), error.hint());
  }
  try {
    confine(app, std::span(argv, static_cast<std::size_t>(argc)));
    return context.command();
  } catch (const std::exception& thrown) {
    const Error error = as_error(thrown);
    return fail(cli::exit_code(error.kind()), error.what(), error.hint());
  }
}

}  // namespace

}  // namespace qpcseal::device

int main(int argc, char** argv) {
  try {
    qpcseal::process::harden();
    qpcseal::take_umask();
    return qpcseal::device::run(argc, argv);
  } catch (const std::exception& error) {
    qpcseal::print_failure("qpcseal-device", error.what());
    return 1;
  }
}
