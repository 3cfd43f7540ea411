// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/pin.h"

#include <memory>

#include "appliance/cli/commands/context.h"
#include "appliance/site/appliance.h"
#include "appliance/site/pin_change.h"
#include "base/error.h"
#include "base/pipe.h"

namespace qpcseal::cli {

namespace {

Report change_pin(Context& context, std::optional<int> new_pin_fd) {
  site::Environment environment = context.environment();
  const site::Site site = site::Site::read(environment.home.site());
  const bool in_file = site::pin_file_path(site.pin_source) && !environment.pin_fd;
  if (site.pin_source == site::kPinPad)
    throw Error(ErrorKind::Usage, "a token with a PIN pad takes its new PIN there",
                "its maker's tool changes the PIN; nothing here knows it");
  std::optional<SecretBuffer> old_pin;
  std::optional<Fd> again;
  if (!in_file) {
    const bool both = environment.pin_fd && environment.pin_fd == new_pin_fd;  // the new one is its next line
    old_pin = site::read_pin(site.pin_source, environment.pin_fd, site.token_label,
                             both ? site::MoreLines::Allowed : site::MoreLines::Refused);
    again = pipe_with(old_pin->bytes());  // the appliance logs in with it, and the change needs it again
    environment.pin_fd = again->get();
  }
  const SecretBuffer new_pin = site::read_new_pin(new_pin_fd, site.token_label);
  site::Appliance appliance(environment);
  // The start has settled what an earlier change left: the file has the token's PIN.
  if (in_file) old_pin = site::read_pin(site.pin_source, std::nullopt, site.token_label);
  site::change_pin(appliance, *old_pin, new_pin);
  Report report;
  report.json = {{"token", site.token_label}, {"token_serial", appliance.token().serial}, {"changed", true}};
  report.text = "the PIN of token " + printable(site.token_label) + " is changed\n";
  return report;
}

}  // namespace

void add_pin(CLI::App& app, Context& context) {
  CLI::App* pin = app.add_subcommand("pin", "The token's PIN");
  pin->require_subcommand(1);
  CLI::App* command = pin->add_subcommand("change", "A new PIN for the token's user; one try");
  auto new_pin_fd = std::make_shared<std::optional<int>>();
  command->add_option("--new-pin-fd", *new_pin_fd, "Read the new PIN from this descriptor")
      ->check(CLI::Range(0, 1023));
  add_output_options(*command, context);
  add_token_options(*command, context);
  command->callback([&context, new_pin_fd] {
    context.command = [&context, new_pin_fd] { return change_pin(context, *new_pin_fd); };
  });
}

}  // namespace qpcseal::cli
