// SPDX-License-Identifier: Apache-2.0
#include <exception>

#include "base/clock.h"
#include "base/error.h"
#include "base/print.h"
#include "cli/exit_code.h"
#include "cli/man_page.h"
#include "device/cli/commands.h"
#include "device/loader/load_commands.h"

namespace qpcseal::device {
namespace {

int fail(int code, const std::string& message, const std::string& hint) {
  print_failure("qpcseal-device", message, hint);
  return code;
}

void add_commands(CLI::App& app, Context& context) {
  app.require_subcommand(1);
  app.set_version_flag("--version", "qpcseal-device " + std::string(software_version()));
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
  cli::add_manual(app, {"qpcseal-device",
                        "simulated cards, their session service and a reference loader",
                        std::string(software_version()),
                        format_time(build_time()).substr(0, 10),
                        {},
                        {"qpcseal(1)", "qpcseal-attest(1)"}});
}

int run(int argc, char** argv) {
  CLI::App app{"Simulated accelerator cards, their session service and a reference loader."};
  Context context;
  add_commands(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return cli::print_help(app, error);
    return fail(2, error.what(), "qpcseal-device --help, or qpcseal-device COMMAND --help");
  }
  try {
    return context.command();
  } catch (const Error& error) {
    return fail(cli::exit_code(error.kind()), error.what(), error.hint());
  } catch (const std::exception& error) {
    return fail(1, std::string("internal: ") + error.what(), "");
  }
}

}  // namespace

}  // namespace qpcseal::device

int main(int argc, char** argv) {
  try {
    return qpcseal::device::run(argc, argv);
  } catch (const std::exception& error) {
    qpcseal::print_failure("qpcseal-device", error.what());
    return 1;
  }
}
