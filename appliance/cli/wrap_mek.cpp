#include <memory>

#include "appliance/cli/app.h"
#include "appliance/cli/grants.h"
#include "appliance/release/rewrap.h"

namespace qpcseal::cli {

namespace {

struct Options {
  release::RewrapWish wish;
  std::string mek;
  std::vector<std::string> reports;
  bool force = false;
};

Report render(const release::Rewrapped& done, const keys::Mek& mek, const Options& options) {
  Report report;
  report.json = {{"output", options.wish.output_folder.string()},
                 {"mek", mek.label},
                 {"mek_id", to_hex(mek.id)},
                 {"released", json_of(done.grants)}};
  std::vector<std::vector<std::string>> rows{{"FOLDER", "CARD", "SUITE", "LOG ENTRY"}};
  for (std::size_t i = 0; i < done.grants.size(); ++i) {
    const release::Grant& grant = done.grants[i];
    report.json["released"][i]["folder"] = done.folders[i];
    rows.push_back({done.folders[i], to_hex(grant.claims.ueid),
                    std::string(keys::name_of(grant.wrapped.suite)), std::to_string(grant.entry)});
  }
  report.text = "wrapped " + mek.label + " for " + std::to_string(done.grants.size()) +
                (done.grants.size() == 1 ? " card" : " cards") + " into " +
                printable(options.wish.output_folder.string()) + "\n" + table(rows) +
                "put it into sealed models: qpcseal replace-mek --encrypted-qpc FILE --wrapped-meks " +
                printable(options.wish.output_folder.string()) + " --output-dir DIR\n";
  return report;
}

Report run(Context& context, Options& options) {
  options.wish.existing = options.force ? Existing::Replace : Existing::Refuse;
  for (const std::string& path : options.reports) options.wish.reports.push_back(release::read_report(path));
  release::Appliance appliance(context.environment());
  const keys::Mek mek = appliance.find_mek(options.mek);
  return render(release::wrap_to_files(appliance, mek, options.wish), mek, options);
}

}  // namespace

void add_wrap_mek(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "wrap-mek", "Release a key to cards as files, for models that are with them already");
  auto options = std::make_shared<Options>();
  command->add_option("--mek", options->mek, "Key in the token: label, label#generation or PKCS #11 URI")
      ->required();
  command->add_option("--pub-keys", options->reports, "Attestation reports, one a card")->required();
  command
      ->add_option("--output-dir", options->wish.output_folder,
                   "Where MEK.encrypt, MEK.nonce, MEK.pub and config.json go; with several reports in a "
                   "folder for each card")
      ->required();
  command->add_flag("--force", options->force, "Replace existing outputs");
  add_output_options(*command, context);
  add_token_options(*command, context);
  command->callback(
      [&context, options] { context.command = [&context, options] { return run(context, *options); }; });
}

}  // namespace qpcseal::cli
