// SPDX-License-Identifier: Apache-2.0
// status: the morning look without the token. It takes no lock and asks for no PIN.
#include "appliance/cli/commands/context.h"
#include "appliance/cli/output/health_report.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::cli {

namespace {

struct StatusOptions {
  bool prometheus = false;
  std::string output;
};

Report show_status(const Context& context, const StatusOptions& options) {
  const site::Home home = site::locate_home();
  if (!std::filesystem::exists(home.site()))
    throw Error(ErrorKind::Io, "no appliance at " + home.root.string(), "'qpcseal init' makes one");
  const site::RunningImage running = site::find_image();
  const site::HomeHealth health = site::look_at_home(home, context.clock.now(), running);
  Report report;
  report.json = {{"home", home.root.string()}, {"healthy", site::first_fault(health.checks) == nullptr}};
  add_image(report, running);
  add_checks(report, health.checks);
  if (!options.prometheus) {
    report.text += site::first_fault(health.checks) == nullptr
                       ? "nothing here stops the next command; 'qpcseal doctor' asks the token too\n"
                       : "the next command would be refused\n";
    return report;
  }
  // A collector reads the file: what is wrong stands in it, and the exit code is that of writing it.
  report.exit_code = 0;
  report.text = prometheus_text(health);
  report.json["metrics"] = report.text;
  if (options.output.empty()) return report;
  write_file(options.output, view(report.text), Existing::Replace, 0644);
  report.written = {options.output};
  if (health.state) report.log_entry = health.state->size - 1;
  report.text = "wrote " + printable(options.output) + "\n";
  return report;
}

}  // namespace

void add_status(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "status", "What stops the next command, or soon will: from home and log, without token and lock");
  const auto options = std::make_shared<StatusOptions>();
  CLI::Option* metrics =
      command->add_flag("--prometheus", options->prometheus,
                        "As metrics, for a node exporter's text file collector; exit code 0");
  command->add_option("-o,--output", options->output, "Write the metrics to this file, in one rename")
      ->needs(metrics);
  add_output_options(*command, context);
  command->callback([&context, options] {
    context.command = [&context, options] { return show_status(context, *options); };
  });
}

}  // namespace qpcseal::cli
