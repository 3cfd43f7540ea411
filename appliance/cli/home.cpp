#include "appliance/release/backup.h"

#include <memory>

#include "appliance/cli/app.h"
#include "base/file.h"

namespace qpcseal::cli {

namespace {

struct HomeOptions {
  std::string file, key;
  bool force = false;
};

Report back_up(Context& context, const HomeOptions& options) {
  const release::Backup made = release::back_up(context.environment(), options.file,
                                                options.force ? Existing::Replace : Existing::Refuse);
  Report report;
  report.json = {{"file", options.file},
                 {"files", made.files},
                 {"log", {{"size", made.log_size}, {"root", made.log_root}}}};
  report.text =
      "wrote " + options.file + ": " + std::to_string(made.files) + " files, the log with " +
      std::to_string(made.log_size) + " entries, root " + made.log_root +
      "\nnot in it: the token's keys, PINs. Keep what you print with 'qpcseal audit checkpoint' elsewhere\n";
  return report;
}

Report restore(Context& context, const HomeOptions& options) {
  release::RestoreWish wish{options.file, std::nullopt, options.force};
  if (!options.key.empty()) wish.key = audit::VerifierKey::parse(options.key);
  const release::Restored done = release::restore(context.environment(), wish);
  Report report;
  report.json = {
      {"files", done.backup.files},
      {"log", {{"size", done.backup.log_size}, {"root", done.backup.log_root}}},
      {"aside", done.aside.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(done.aside.string())}};
  report.text = "restored " + std::to_string(done.backup.files) + " files, the log with " +
                std::to_string(done.backup.log_size) + " entries, root " + done.backup.log_root + "\n";
  if (!done.aside.empty()) report.text += "what was there before is in " + done.aside.string() + "\n";
  report.text +=
      "the next command holds the log against the token's memory: an older one is refused. Import the latest "
      "checkpoint of a witness too, where there is one\n";
  return report;
}

}  // namespace

void add_home(CLI::App& app, Context& context) {
  CLI::App* home = app.add_subcommand("home", "The appliance's state, without its token");
  home->require_subcommand(1);
  const auto options = std::make_shared<HomeOptions>();
  CLI::App* one = home->add_subcommand("backup", "Log, policy, trust and reports in one file; no secrets");
  one->add_option("-o,--output", options->file, "The file to write (ustar)")->required();
  one->add_flag("--force", options->force, "Replace an existing file");
  one->add_option("--lock-timeout", context.lock_timeout, "Seconds to wait for another qpcseal (default 60)");
  add_output_options(*one, context);
  one->callback(
      [&context, options] { context.command = [&context, options] { return back_up(context, *options); }; });
  one = home->add_subcommand("restore", "Bring a backup back");
  one->add_option("FILE", options->file, "What 'home backup' wrote")->required();
  one->add_option("--key", options->key, "The log's first verification key, from elsewhere: name+id+key");
  one->add_flag("--force", options->force, "Move the state that is there aside");
  one->add_option("--lock-timeout", context.lock_timeout, "Seconds to wait for another qpcseal (default 60)");
  add_output_options(*one, context);
  one->callback(
      [&context, options] { context.command = [&context, options] { return restore(context, *options); }; });
}

}  // namespace qpcseal::cli
