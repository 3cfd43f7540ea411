// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "appliance/cli/commands/context.h"
#include "appliance/cli/commands/vendor_options.h"
#include "appliance/cli/output/grants.h"
#include "appliance/cli/output/progress.h"
#include "appliance/cli/output/report_paths.h"
#include "appliance/cli/output/set_report.h"
#include "appliance/cli/output/vendor_output.h"
#include "appliance/models/seal_input.h"
#include "appliance/models/seal_model.h"
#include "base/error.h"
#include "base/text.h"

namespace qpcseal::cli {

namespace {

struct EncryptModelOptions {
  models::SealModelOptions wanted;
  std::string mek, mode = "token", order = "metadata";
  std::vector<std::string> reports, inputs;
  bool force = false, skip_existing = false;
  VendorOptions vendor;

  [[nodiscard]] Existing existing() const { return force ? Existing::Replace : Existing::Refuse; }
  [[nodiscard]] Output written() const { return {wanted.output_folder / models::kOutputName, existing()}; }
};

models::PartitionOrder order_named(const std::string& word) {
  if (word == "container") return models::PartitionOrder::Container;
  return word == "slices" ? models::PartitionOrder::Slices : models::PartitionOrder::Metadata;
}

Report render_encrypt_model(const models::SealedModel& model, const keys::Mek& mek, seal::Mode mode) {
  Report report;
  report.json = {{"output", model.output.string()},
                 {"mek", mek.label},
                 {"mek_id", to_hex(mek.id)},
                 {"mode", seal::to_string(mode)},
                 {"seal_id", to_hex(model.sealed.seal_id)},
                 {"manifest_sha256", to_hex(model.sealed.manifest_digest)},
                 {"segments", model.segments},
                 {"partitions", model.partitions},
                 {"size", model.sealed.file_size},
                 {"encryptions", model.sealed.encryptions}};
  report.written = {model.output};
  std::string names;
  for (const std::string& name : model.segments) names += " " + printable(name);
  report.text = "sealed " + model.output.string() + " under " + mek.label + ", mode " +
                std::string(seal::to_string(mode)) + "\nsealed segments:" + names + "\nseal id " +
                to_hex(model.sealed.seal_id) + "\n";
  for (std::size_t i = 0; i < model.partitions.size(); ++i)
    report.text += "partition " + std::to_string(i) + ": " + printable(model.partitions[i]) + "\n";
  if (model.grants.empty())
    report.text += "not bound to a card: 'qpcseal encrypt-with-session-keys' binds it\n";
  add_grants(report, model.grants);
  add_readable(report, model.readable);
  return report;
}

Report run_encrypt_set(Context& context, const EncryptModelOptions& options) {
  const models::SealSetOptions set{
      {options.inputs.begin(), options.inputs.end()}, options.wanted, options.skip_existing};
  site::Appliance appliance(context.environment(
      {.inputs = {options.inputs.begin(), options.inputs.end()}, .operations = {"seal"}}));
  const keys::Mek mek = appliance.find_mek(options.mek);
  ProgressBar bar("sealing");
  return render_sealed_set(
      models::seal_set(appliance, mek, set,
                       [&](std::uint64_t done, std::uint64_t total) { bar.update(done, total); }),
      mek);
}

Report run_vendor(Context& context, const EncryptModelOptions& options, const CLI::App& command) {
  refuse_with_vendor(command, {"--mode", "--name", "--model-version", "--threads", "--partition-order",
                               "--allow-incomplete", "--skip-existing"});
  if (options.inputs.size() > 1) throw Error(ErrorKind::Usage, "--format vendor takes one --qpc");
  const std::vector<release::Report> reports = read_reports({options.reports.begin(), options.reports.end()});
  site::Appliance appliance(context.environment(
      {.inputs = {options.inputs.begin(), options.inputs.end()}, .operations = {"mek-expose"}}));
  const keys::Mek mek = appliance.find_mek(options.mek);
  return render_vendor(
      vendor::run_vendor_tool(appliance, mek,
                              {vendor::VendorAct::EncryptModel, options.inputs.front(),
                               options.wanted.output_folder, reports, options.force, options.vendor.time()}),
      &mek);
}

Report run_encrypt_model(Context& context, EncryptModelOptions& options) {
  options.wanted.mode = options.mode == "envelope" ? seal::Mode::Envelope : seal::Mode::Token;
  options.wanted.order = order_named(options.order);
  options.wanted.existing = options.existing();
  options.wanted.reports = read_reports({options.reports.begin(), options.reports.end()});
  if (models::is_set({options.inputs.begin(), options.inputs.end()}))
    return run_encrypt_set(context, options);
  if (options.skip_existing)
    throw Error(ErrorKind::Usage, "--skip-existing is for several models: --qpc is one file");
  options.wanted.qpc = options.inputs.front();
  std::vector<std::string> operations{"seal"};
  if (!options.wanted.reports.empty()) operations.emplace_back("release");
  site::Appliance appliance(context.environment(
      {.inputs = {options.wanted.qpc}, .outputs = {options.written()}, .operations = operations}));
  const keys::Mek mek = appliance.find_mek(options.mek);
  ProgressBar bar("sealing");
  const auto model =
      models::seal_model(appliance, mek, options.wanted,
                         [&](std::uint64_t done, std::uint64_t total) { bar.update(done, total); });
  return render_encrypt_model(model, mek, options.wanted.mode);
}

}  // namespace

void add_encrypt_model(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("encrypt-model", "Seal a model; with --pub-keys also release its key to a card");
  auto options = std::make_shared<EncryptModelOptions>();
  command
      ->add_option(
          "--qpc", options->inputs,
          "The compiled model. A folder, or several files and folders: every QPC in them is sealed under its "
          "path, other files are copied, and seal.set lists all")
      ->required();
  command->add_option("--mek", options->mek, "Key in the token: label, label#generation or PKCS #11 URI")
      ->required();
  command
      ->add_option("--output-dir", options->wanted.output_folder,
                   "Where programqpc.bin goes, or the files of a set")
      ->required();
  command->add_option("--pub-keys", options->reports,
                      "Attestation reports: one, or one a partition in their order");
  command
      ->add_option("--partition-order", options->order,
                   "metadata (default): as mdp_meta_info names them; container: as they lie in the file; "
                   "slices: as their names count, X_slice00, X_slice01, ...")
      ->check(CLI::IsMember({"metadata", "container", "slices"}));
  command
      ->add_option("--mode", options->mode, "token (default): the token encrypts; envelope: a data key does")
      ->check(CLI::IsMember({"token", "envelope"}));
  command->add_option("--name", options->wanted.model_name,
                      "The model's name in the manifest (default: the file's)");
  command->add_option("--model-version", options->wanted.model_version,
                      "Your version number; cards may require a minimum");
  command->add_option("--threads", options->wanted.threads, "Default: one a core, two more on a disk")
      ->check(CLI::Range(1, 64));
  command->add_flag("--allow-incomplete", options->wanted.incomplete,
                    "Seal also what no card can load, for tests: without network.elf, networkdesc.bin, ...");
  command->add_flag("--skip-existing", options->skip_existing,
                    "Of a set, go on where a run ended: what was made from these inputs stays");
  add_vendor_options(*command, options->vendor);
  command->add_flag("--force", options->force, "Replace an existing output");
  add_output_options(*command, context);
  add_token_options(*command, context);
  add_approval_options(*command, context);
  command->callback([&context, options, command] {
    context.command = [&context, options, command] {
      return options->vendor.vendor() ? run_vendor(context, *options, *command)
                                      : run_encrypt_model(context, *options);
    };
  });
}

}  // namespace qpcseal::cli
