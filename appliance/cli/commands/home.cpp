// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/home_backup.h"

#include <map>
#include <memory>

#include "appliance/cli/commands/context.h"
#include "appliance/cli/commands/token_options.h"
#include "appliance/cli/commands/vkey.h"
#include "base/file.h"

namespace qpcseal::cli {

namespace {

using nlohmann::ordered_json;

struct HomeOptions {
  std::string file, key;
  bool force = false;
  site::MachineOptions machine;
};

struct KindCount {
  std::uint64_t files = 0, bytes = 0;
};

// The kinds of files in a backup, in the order of the enumeration.
std::map<site::FileKind, KindCount> count(const site::HomeManifest& manifest) {
  std::map<site::FileKind, KindCount> out;
  for (const site::HomeFile& file : manifest.files) {
    KindCount& kind = out[site::file_kind(file.name).value()];
    ++kind.files;
    kind.bytes += file.size;
  }
  return out;
}

ordered_json json_of_home(const site::HomeManifest& manifest) {
  return {{"files", manifest.files.size()},
          {"log", {{"size", manifest.log_size}, {"root", manifest.log_root}}}};
}

std::string words_of_home(const site::HomeManifest& manifest) {
  return std::to_string(manifest.files.size()) + " files, the log with " + std::to_string(manifest.log_size) +
         " entries, root " + manifest.log_root + "\n";
}

std::optional<tlog::VerifierKey> key_in(const HomeOptions& options) {
  if (options.key.empty()) return std::nullopt;
  return tlog::VerifierKey::parse(vkey_text(options.key));
}

Report back_up_home(Context& context, const HomeOptions& options) {
  const site::Backup made = site::back_up(context.environment(), options.file,
                                          options.force ? Existing::Replace : Existing::Refuse);
  Report report;
  report.json = {{"file", options.file}};
  report.json.update(json_of_home(made.manifest));
  report.json["left_out"] = made.left_out;
  report.written = {options.file};
  report.log_entry = made.manifest.log_size - 1;
  report.text = "wrote " + options.file + ": " + words_of_home(made.manifest);
  for (const std::string& name : made.left_out)
    report.text += "left out, for nothing in the log vouches for it: " + printable(name) + "\n";
  report.text +=
      "not in it: the token's keys, PINs, site.toml. Keep what you print with 'qpcseal audit checkpoint' "
      "elsewhere\n";
  return report;
}

Report verify_home(const HomeOptions& options) {
  const site::CheckedBackup checked = site::check_backup(options.file, key_in(options));
  const site::HomeManifest& manifest = checked.archive.manifest();
  Report report;
  report.json = {{"file", options.file}};
  report.json.update(json_of_home(manifest));
  report.json["made"] = format_time(manifest.time);
  report.json["software"] = manifest.software;
  report.json["appliance"] = encoding::text_member(checked.log.state.genesis, "appliance_id");
  report.json["log"]["key"] = checked.log.state.log_keys.front().vkey;
  report.json["contents"] = ordered_json::array();
  std::vector<std::vector<std::string>> rows{{"FILES", "COUNT", "BYTES", "VOUCHED FOR BY"}};
  for (const auto& [kind, counted] : count(manifest)) {
    const std::string name(site::to_string(kind)), voucher(site::voucher_name(kind));
    report.json["contents"].push_back(
        {{"kind", name}, {"files", counted.files}, {"bytes", counted.bytes}, {"vouched_by", voucher}});
    rows.push_back({name, std::to_string(counted.files), std::to_string(counted.bytes), voucher});
  }
  report.text = "a whole backup of appliance " +
                printable(encoding::text_member(checked.log.state.genesis, "appliance_id")) + ", made " +
                format_time(manifest.time) + " by " + printable(manifest.software) + ": " +
                words_of_home(manifest) + table(rows);
  if (options.key.empty())
    report.text +=
        "the log's first key, as the log itself names it: " + checked.log.state.log_keys.front().vkey +
        "\ncompare it with the one that you keep elsewhere, or give that as --key\n";
  return report;
}

std::string words_of_module(const site::Restored& done) {
  std::string out = std::string(done.new_site ? "site.toml is made anew: " : "site.toml stays: ") +
                    "module " + printable(done.site.module) + ", SHA-256 " +
                    (done.module_sha256.empty() ? "none, for it cannot be read" : done.module_sha256) + "\n";
  if (done.new_site && done.site.embedded)
    out += "it is taken for the embedded token, in the home's folder tokens; --module names another one\n";
  if (!done.pinned_sha256.empty() && done.module_sha256 != done.pinned_sha256)
    out += "the log pins another module, SHA-256 " + done.pinned_sha256 +
           ": the next command refuses this one until officers agree to it by 'qpcseal site change'\n";
  return out;
}

Report restore_home(Context& context, const HomeOptions& options) {
  const site::Restored done =
      site::restore(context.environment(), {options.file, key_in(options), options.force, options.machine});
  Report report;
  report.json = json_of_home(done.manifest);
  report.json["aside"] = done.aside.empty() ? ordered_json() : ordered_json(done.aside.string());
  report.json["site"] = {{"new", done.new_site},
                         {"module", done.site.module},
                         {"embedded", done.site.embedded},
                         {"module_sha256", done.module_sha256},
                         {"pinned_sha256", done.pinned_sha256}};
  report.text = "restored " + words_of_home(done.manifest);
  if (!done.aside.empty()) report.text += "what was there before is in " + done.aside.string() + "\n";
  report.text += words_of_module(done);
  report.text +=
      "the next command holds the log against the token's memory: an older one is refused. Import the latest "
      "checkpoint of a witness too, where there is one\n";
  return report;
}

void add_lock_options(CLI::App& command, Context& context) {
  command.add_option("--lock-timeout", context.lock_timeout,
                     "Seconds to wait for another qpcseal (default 60)");
  add_output_options(command, context);
}

}  // namespace

void add_home(CLI::App& app, Context& context) {
  CLI::App* home = app.add_subcommand("home", "The appliance's state, without its token");
  home->require_subcommand(1);
  const auto options = std::make_shared<HomeOptions>();
  CLI::App* one = home->add_subcommand("backup", "Log, policy, trust and reports in one file; no secrets");
  one->add_option("-o,--output", options->file, "The file to write (ustar)")->required();
  one->add_flag("--force", options->force, "Replace an existing file");
  add_lock_options(*one, context);
  one->callback([&context, options] {
    context.command = [&context, options] { return back_up_home(context, *options); };
  });
  one = home->add_subcommand("verify", "Whether a backup is whole, and what proves its files");
  one->add_option("FILE", options->file, "What 'home backup' wrote")->required();
  one->add_option("--key", options->key, "The log's first verification key, from elsewhere: name+id+key");
  add_output_options(*one, context);
  one->callback([&context, options] { context.command = [options] { return verify_home(*options); }; });
  one = home->add_subcommand("restore", "Restore a home from a backup");
  one->add_option("FILE", options->file, "What 'home backup' wrote")->required();
  one->add_option("--key", options->key, "The log's first verification key, from elsewhere: name+id+key");
  one->add_flag("--force", options->force, "Move the present state aside");
  CLI::Option* module = one->add_option("--module", options->machine.module,
                                        "Where there is no site.toml: the PKCS #11 module");
  one->add_flag("--embedded", options->machine.embedded,
                "Where there is no site.toml: SoftHSM2 with its objects under the home")
      ->excludes(module);
  one->add_option("--token", options->machine.token_label, "The token's label (default: as in the log)");
  one->add_option("--serial", options->machine.token_serial, "The token's serial (default: as in the log)");
  one->add_option("--pin-source", options->machine.pin_source,
                  "tty (default), pinpad (the token's own), or file:/path");
  add_module_files(*one, options->machine.module_files);
  add_lock_options(*one, context);
  one->callback([&context, options] {
    context.command = [&context, options] { return restore_home(context, *options); };
  });
}

}  // namespace qpcseal::cli
