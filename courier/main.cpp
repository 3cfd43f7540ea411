// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <exception>
#include <span>

#include "attest/devices.h"
#include "base/build_commit.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/print.h"
#include "base/program.h"
#include "cli/completion.h"
#include "cli/exit_code.h"
#include "cli/man_page.h"
#include "cli/named_files.h"
#include "cli/suggest.h"
#include "courier/courier.h"
#include "process/file_access.h"
#include "process/harden.h"
#include "process/system_calls.h"

namespace qpcseal::courier {
namespace {

struct Arguments {
  Endpoint host{"localhost"};
  std::string device = "0", request, report, batch;
  Options options;
};

int fail(int code, const std::string& message, const std::string& hint) {
  print_failure("qpcseal-attest", message, hint);
  return code;
}

void add_options(CLI::App& app, Arguments& to) {
  app.set_version_flag("--version,-V", version_line("qpcseal-attest"));
  app.footer(
      "The channel is neither encrypted nor authenticated, and need not be: nothing secret travels on it, "
      "and the\n"
      "appliance verifies every report itself. --print_json shows what a report claims, which nobody has "
      "verified.\n"
      "Examples:\n"
      "  qpcseal-attest --ip node7 -d 0 -i request.cbor -o report.dat\n"
      "  qpcseal-attest --batch requests/batch\n\n"
      "Exit codes: 0 done, 1 internal, 2 usage, 3 input/output or network, 4 malformed, 5 refused by the "
      "card.");
  CLI::Option* ip =
      app.add_option("--ip", to.host.host, "Host of the cards: an address or a name (default localhost)");
  CLI::Option* port = app.add_option("--port", to.host.port, "Port of its session service (default 62473)")
                          ->check(CLI::Range(1, 65535));
  CLI::Option* device =
      app.add_option("--device,-d", to.device, "Card number, a range (0-3) or a list (0,2); default 0");
  app.add_flag("--print_json,-j", to.options.print_json, "Print what the reports claim as JSON");
  CLI::Option* request =
      app.add_option("--attestation_request,-i", to.request, "Request, as `qpcseal attest request` wrote it");
  CLI::Option* report = app.add_option(
      "--attestation_report,-o", to.report,
      "Where the report goes (default report.dat); with several cards a folder for report-N.dat "
      "(default reports)");
  app.add_option("--batch", to.batch,
                 "File with one card a line: IP PORT DEVICE REQUEST REPORT; `qpcseal attest request` "
                 "writes it for several cards")
      ->excludes(ip)
      ->excludes(port)
      ->excludes(device)
      ->excludes(request)
      ->excludes(report);
  app.add_option("--timeout", to.options.timeout, "Seconds to wait for each card (default 30)")
      ->check(CLI::Range(1U, 3600U));
  app.add_flag("--force", to.options.force, "Overwrite existing reports");
  cli::add_manual(app, {"qpcseal-attest",
                        "carry attestation requests to cards and their reports back",
                        std::string(software_version()),
                        format_time(build_time()).substr(0, 10),
                        {},
                        {"qpcseal(1)", "qpcseal-device(1)"}});
}

std::vector<Errand> errands_of(const Arguments& arguments) {
  if (!arguments.batch.empty()) return read_batch(arguments.batch);
  if (arguments.request.empty()) throw Error(ErrorKind::Usage, "--attestation_request (-i) is missing");
  const std::vector<unsigned> devices = attest::parse_devices(arguments.device);
  if (devices.size() == 1) {
    const std::string report = arguments.report.empty() ? "report.dat" : arguments.report;
    return {{arguments.host, devices.front(), arguments.request, report}};
  }
  const std::filesystem::path dir = arguments.report.empty() ? "reports" : arguments.report;
  std::vector<Errand> out;
  for (const unsigned device : devices) {
    const std::filesystem::path report = dir / ("report-" + std::to_string(device) + ".dat");
    out.push_back({arguments.host, device, arguments.request, report});
  }
  static_cast<void>(read_request(arguments.request));  // before anything is made
  make_output_folder(dir);
  return out;
}

// Sockets, the requests, and the folders of the reports; no exec. A kernel that cannot do that carries all
// the same: nothing here is secret, and the appliance trusts nothing of it.
std::vector<Errand> confined_errands(const Arguments& arguments, std::span<char* const> words) {
  process::close_others(process::named_descriptors(words));
  static_cast<void>(process::filter_calls(process::Calls::Network));
  std::vector<Errand> errands = errands_of(arguments);
  process::FileAccess files = process::system_files();
  for (const Errand& errand : errands) {
    files.read.emplace_back(errand.request);
    files.write.push_back(cli::folder_of(errand.report));
  }
  static_cast<void>(process::restrict_files(files));
  return errands;
}

int run(int argc, char** argv) {
  CLI::App app{"Carries an attestation request to a card and brings its report back.", "qpcseal-attest"};
  Arguments arguments;
  add_options(app, arguments);
  if (cli::print_completions(app, {argv + 1, argv + argc},
                             [](const auto&) { return std::vector<std::string>(); }))
    return 0;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return cli::print_help(app, error);
    if (const auto unknown = cli::unknown_word(app, {argv + 1, argv + argc}))
      return fail(2, unknown->what(), unknown->hint());
    return fail(2, error.what(), "qpcseal-attest --help");
  }
  try {
    run_errands(confined_errands(arguments, std::span(argv, static_cast<std::size_t>(argc))),
                arguments.options);
    return 0;
  } catch (const std::exception& thrown) {
    const Error error = as_error(thrown);
    return fail(cli::exit_code(error.kind()), error.what(), error.hint());
  }
}

}  // namespace
}  // namespace qpcseal::courier

int main(int argc, char** argv) {
  try {
    qpcseal::process::harden();
    qpcseal::take_umask();
    return qpcseal::courier::run(argc, argv);
  } catch (const std::exception& error) {
    qpcseal::print_failure("qpcseal-attest", error.what());
    return 1;
  }
}
