// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "appliance/cli/commands/context.h"
#include "appliance/cli/commands/vendor_options.h"
#include "appliance/cli/output/grants.h"
#include "appliance/cli/output/report_paths.h"
#include "appliance/cli/output/vendor_output.h"
#include "appliance/models/seal_model.h"

namespace qpcseal::cli {

namespace {

struct EncryptWithSessionKeysOptions {
  models::BindModelOptions wanted;
  std::string mek;
  std::vector<std::string> reports;
  bool force = false;
  VendorOptions vendor;
};

Report bind_vendor(Context& context, const EncryptWithSessionKeysOptions& options) {
  const std::vector<release::Report> reports = read_reports({options.reports.begin(), options.reports.end()});
  site::Appliance appliance(
      context.environment({.inputs = {options.wanted.input_folder}, .operations = {"mek-expose"}}));
  const keys::Mek mek = appliance.find_mek(options.mek);
  return render_vendor(
      vendor::run_vendor_tool(appliance, mek,
                              {vendor::VendorAct::EncryptWithSessionKeys, options.wanted.input_folder,
                               options.wanted.output_folder, reports, options.force, options.vendor.time()}),
      &mek);
}

Report run_encrypt_with_session_keys(Context& context, EncryptWithSessionKeysOptions& options) {
  options.wanted.rebind = options.force;
  options.wanted.existing = options.force ? Existing::Replace : Existing::Refuse;
  options.wanted.reports = read_reports({options.reports.begin(), options.reports.end()});
  site::Appliance appliance(
      context.environment({.inputs = {options.wanted.input_folder}, .operations = {"release"}}));
  const keys::Mek mek = appliance.find_mek(options.mek);
  const models::BoundModel model = models::bind_model(appliance, mek, options.wanted);
  Report report;
  report.json = {{"outputs", nlohmann::ordered_json::array()}, {"mek", mek.label}};
  report.written = model.outputs;
  for (const std::filesystem::path& output : model.outputs) {
    report.json["outputs"].push_back(output.string());
    report.text += "bound " + printable(output.string()) + "\n";
  }
  add_grants(report, model.grants);
  return report;
}

}  // namespace

void add_encrypt_with_session_keys(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("encrypt-with-session-keys",
                                         "Release a sealed model's key to a card and bind the model to it");
  auto options = std::make_shared<EncryptWithSessionKeysOptions>();
  command
      ->add_option("--input-dir", options->wanted.input_folder,
                   "Folder of the sealed models; all in it are bound to the same cards")
      ->required();
  command->add_option("--mek", options->mek, "The key it is sealed under")->required();
  command
      ->add_option("--pub-keys", options->reports,
                   "Attestation reports: one, or one a partition in their order")
      ->required();
  command->add_option("--output-dir", options->wanted.output_folder, "Default: in place");
  add_vendor_options(*command, options->vendor);
  command->add_flag("--force", options->force, "Bind a bound container anew; replace an existing output");
  add_output_options(*command, context);
  add_token_options(*command, context);
  add_approval_options(*command, context);
  command->callback([&context, options] {
    context.command = [&context, options] {
      return options->vendor.vendor() ? bind_vendor(context, *options)
                                      : run_encrypt_with_session_keys(context, *options);
    };
  });
}

}  // namespace qpcseal::cli
