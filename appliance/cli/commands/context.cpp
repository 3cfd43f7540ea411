// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/commands/context.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/file_name.h"
#include "base/print.h"
#include "base/text.h"

namespace qpcseal::cli {

namespace {

// Of all files that may be executed in a sandbox.
std::vector<std::string> digests_of(const std::vector<audit::PinnedProgram>& programs) {
  std::vector<std::string> out;
  for (const audit::PinnedProgram& each : programs) {
    out.push_back(each.program.sha256);
    for (const audit::PinnedFile& file : each.files) out.push_back(file.sha256);
  }
  return out;
}

void require_input(const std::filesystem::path& path) {
  if (!path.empty() && !std::filesystem::is_directory(path)) static_cast<void>(open_to_read(path));
}

std::function<void(const site::Outlook&)> look_of(const BeforePin& before) {
  if (before.outputs.empty() && before.operations.empty() && !before.look) return nullptr;
  return [before](const site::Outlook& outlook) {
    for (const Output& output : before.outputs)
      if (output.path != kStandard) check_name(output.path, output.existing);
    for (const std::string& operation : before.operations) site::require_candidate(outlook, operation);
    if (before.look) before.look(outlook);
  };
}

}  // namespace

site::Environment Context::environment(const BeforePin& before) {
  for (const auto& path : before.inputs) require_input(path);
  for (const auto& path : approvals.requests) require_input(path);
  for (const auto& path : approvals.signatures) require_input(path);
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
          [](const std::string& warning) { print_error("qpcseal: warning: " + printable(warning) + "\n"); },
          [this](const site::Home& home, const site::Site& site, const audit::SiteFacts& facts) {
            confine(home, site, facts);
          },
          false,
          last_try ? pkcs11::LastTry::Take : pkcs11::LastTry::Refuse,
          site::find_image(),
          look_of(before)};
}

void Context::confine(const site::Home& home, const site::Site& site, const audit::SiteFacts& facts) {
  confinement.before_module({site.module, site::with_home(facts.module_arguments, home), site.pin_source,
                             site.module_files, facts.accepts(audit::kModuleNetwork),
                             digests_of(facts.programs), home.root});
  if (confinement.lacking().empty() || facts.accepts(audit::kUnconfined)) return;
  throw Error(
      ErrorKind::Io,
      "this kernel cannot keep the token's module to its " + join(confinement.lacking()) +
          ", and the site's facts do not accept that",
      "a kernel with seccomp and Landlock (Debian's has both); or --accept unconfined at 'qpcseal init', "
      "later by 'qpcseal site change'");
}

site::Environment Context::environment_to_read() {
  site::Environment out = environment();
  out.lock_timeout = 0;
  out.on_wait = nullptr;
  return out;
}

void add_clock_option(CLI::App& app, Context& context) {
  app.add_option("--clock", context.confirmed_date,
                 "Today's date (UTC), where a command asks for it: YYYY-MM-DD");
}

void add_output_options(CLI::App& app, Context& context) {
  app.add_flag("--json", context.json, "Print the result as JSON");
}

void add_last_try(CLI::App& app, Context& context) {
  app.add_flag("--last-try", context.last_try, "Log in although one more wrong PIN locks the token");
}

void add_token_options(CLI::App& app, Context& context) {
  app.add_option("--pin-fd", context.pin_fd, "Read the token's PIN from this descriptor")
      ->check(CLI::Range(0, 1023));
  add_last_try(app, context);
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
