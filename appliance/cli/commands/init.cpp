// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/init.h"

#include <memory>

#include "appliance/cli/commands/token_options.h"
#include "appliance/site/unfinished_init.h"

namespace qpcseal::cli {

namespace {

Report render_init(const site::InitResult& made, const site::InitOptions& options, const site::Home& home) {
  Report report;
  report.json = {
      {"home", home.root.string()},
      {"appliance_id", options.appliance_id},
      {"log_key", made.log_key},
      {"seal_key", to_base64(made.seal_key)},
      {"genesis_sha256", made.genesis},
      {"token", made.token.label},
      {"token_serial", made.token.serial},
      {"lacking", made.lacking},
      {"anchor", made.anchor},
      {"image", made.image.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(made.image)},
      {"insecure_demo", options.insecure_demo}};
  report.text = "appliance " + options.appliance_id + " in " + home.root.string() + "\n" + "token     " +
                made.token.label + " (" + made.token.model + ", serial " + made.token.serial + ")\n" +
                "log key   " + made.log_key + "\n          keep it apart: it verifies the log\n" +
                "genesis   " + made.genesis + "\n" +
                "token lacks: " + (made.lacking.empty() ? "none" : join(made.lacking)) +
                "; log anchor in the token: " + (made.anchor ? "yes" : "no") + "\n" + "image     " +
                (made.image.empty() ? "none runs, and none is demanded" : made.image) + "\n";
  if (options.insecure_demo)
    report.text += std::string("INSECURE DEMO: no officers, an unsigned policy") +
                   (options.embedded ? ", the PIN in a file" : "") + ". For trials only.\n";
  else
    report.text +=
        "next: every officer signs the genesis ('qpcseal genesis show -o FILE'); no MEK is made before\n";
  return report;
}

struct Unfinished {
  bool resume = false, undo = false;
};

Report run_undo(const site::Environment& environment) {
  site::undo_init(environment);
  Report report;
  report.json = {{"home", environment.home.root.string()}, {"undone", true}};
  report.text = "undone: nothing of the init is left in " + printable(environment.home.root.string()) +
                " or in its token\n";
  return report;
}

}  // namespace

void add_init(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("init", "Make an appliance: token, keys, log");
  auto options = std::make_shared<site::InitOptions>();
  command->add_option("--module", options->module, "PKCS #11 module, absolute path");
  command->add_option("--module-arguments", options->module_arguments,
                      "C_Initialize's pReserved string (NSS wants one)");
  add_module_files(*command, options->module_files);
  add_token_choice(*command, options->token, "The token's label");
  command->add_flag("--embedded", options->embedded,
                    "SoftHSM2 with its objects under the home: for trials and tests");
  command->add_option("--appliance-id", options->appliance_id, "Name of this appliance, in its log and keys");
  command->add_option("--officers", options->officers, "Security officers, OpenSSH allowed_signers format");
  command->add_option("--policy", options->policy, "The policy, TOML");
  command->add_option("--policy-signature", options->policy_signatures,
                      "An officer's signature of the policy ('qpcseal policy sign')");
  command->add_option("--trust", options->trust, "Folder of the vendor's root certificates and CRLs");
  command->add_option("--pin-source", options->pin_source,
                      "tty (default), pinpad (the token's own), or file:/absolute/path, mode 0600");
  command->add_option(
      "--accept", options->accept,
      "What the site puts up with: a desired key attribute that the token lacks ('qpcseal doctor'); "
      "module-network (the module uses the network); unconfined (a kernel without Landlock)");
  command->add_option(
      "--clock-days", options->clock_days,
      "Days after the log's last entry from which on the date must be confirmed (1 to 90, default 7)");
  command->add_flag("--insecure-demo", options->insecure_demo,
                    "For trials and rehearsals, with a token to throw away: no officers, an unsigned policy");
  const auto unfinished = std::make_shared<Unfinished>();
  CLI::Option* resume =
      command->add_flag("--resume", unfinished->resume, "Undo an init that was cut short, and begin again");
  command->add_flag("--undo", unfinished->undo, "Only undo it: keys in the token, files in the home")
      ->excludes(resume);
  add_output_options(*command, context);
  add_token_options(*command, context);
  command->callback([&context, options, unfinished] {
    context.command = [&context, options, unfinished] {
      if (unfinished->undo) return run_undo(context.environment());
      // Once the module is loaded, the process can make no folder beside the home.
      if (unfinished->resume) site::undo_init(context.environment(), site::HomeFolder::Keep);
      const site::Environment environment = context.environment();
      const site::InitResult made = site::init(environment, *options);
      context.status.acted = true;
      context.status.last_entry = 0;  // the genesis
      return render_init(made, *options, environment.home);
    };
  });
}

}  // namespace qpcseal::cli
