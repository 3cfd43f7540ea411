// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "appliance/cli/commands/context.h"
#include "appliance/cli/output/grants.h"
#include "appliance/cli/output/progress.h"
#include "appliance/models/seal_model.h"

namespace qpcseal::cli {

namespace {

struct EncryptModelOptions {
  models::SealModelOptions wanted;
  std::string mek, mode = "token", order = "metadata";
  std::vector<std::string> reports;
  bool force = false;
};

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
  return report;
}

Report run_encrypt_model(Context& context, EncryptModelOptions& options) {
  options.wanted.mode = options.mode == "envelope" ? seal::Mode::Envelope : seal::Mode::Token;
  options.wanted.order =
      options.order == "container" ? models::PartitionOrder::Container : models::PartitionOrder::Metadata;
  options.wanted.existing = options.force ? Existing::Replace : Existing::Refuse;
  for (const std::string& path : options.reports)
    options.wanted.reports.push_back(release::read_report(path));
  site::Appliance appliance(context.environment());
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
  command->add_option("--qpc", options->wanted.qpc, "The compiled model")->required();
  command->add_option("--mek", options->mek, "Key in the token: label, label#generation or PKCS #11 URI")
      ->required();
  command->add_option("--output-dir", options->wanted.output_folder, "Where programqpc.bin goes")->required();
  command->add_option("--pub-keys", options->reports,
                      "Attestation reports: one, or one a partition in their order");
  command
      ->add_option("--partition-order", options->order,
                   "metadata (default): as mdp_meta_info names them; container: as they lie in the file")
      ->check(CLI::IsMember({"metadata", "container"}));
  command
      ->add_option("--mode", options->mode, "token (default): the token encrypts; envelope: a data key does")
      ->check(CLI::IsMember({"token", "envelope"}));
  command->add_option("--name", options->wanted.model_name,
                      "The model's name in the manifest (default: the file's)");
  command->add_option("--model-version", options->wanted.model_version,
                      "Your version number; cards may require a minimum");
  command->add_option("--threads", options->wanted.threads, "Default: one a core")->check(CLI::Range(1, 64));
  command->add_flag("--force", options->force, "Replace an existing output");
  add_output_options(*command, context);
  add_token_options(*command, context);
  add_approval_options(*command, context);
  command->callback([&context, options] {
    context.command = [&context, options] { return run_encrypt_model(context, *options); };
  });
}

}  // namespace qpcseal::cli
