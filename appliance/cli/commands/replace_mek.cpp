// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "appliance/cli/commands/context.h"
#include "appliance/cli/commands/vendor_options.h"
#include "appliance/cli/output/vendor_output.h"
#include "appliance/models/replace_mek.h"
#include "base/error.h"

namespace qpcseal::cli {

namespace {

struct ReplaceMekOptions {
  models::ReplaceMekOptions wanted;
  bool in_place = false, force = false;
  VendorOptions vendor;
};

Report render_replace_mek(const models::ReplaceResult& result, bool in_place) {
  Report report;
  for (const models::Replaced& one : result.outputs) report.written.push_back(one.output);
  report.json = {{"in_place", in_place},
                 {"checked_against_log", result.log_checked},
                 {"outputs", nlohmann::ordered_json::array()}};
  for (const models::Replaced& one : result.outputs) {
    report.json["outputs"].push_back({{"output", one.output.string()}, {"cards", one.cards}});
    report.text += "bound " + printable(one.output.string()) + " to card";
    for (const std::string& card : one.cards) report.text += " " + card;
    report.text += "\n";
  }
  if (!result.log_checked)
    report.text +=
        "note: there is no home on this machine, so no log was asked whether these releases are known\n";
  return report;
}

Report replace_vendor(const ReplaceMekOptions& options) {
  if (options.in_place || options.wanted.output_folder.empty())
    throw Error(ErrorKind::Usage, "--format vendor needs --output-dir");
  return render_vendor(
      vendor::replace_vendor_mek(site::locate_home(),
                                 {options.wanted.sealed, options.wanted.wrapped, options.wanted.output_folder,
                                  options.force, options.vendor.time()}),
      nullptr);
}

Report run_replace_mek(ReplaceMekOptions& options) {
  if (options.in_place == !options.wanted.output_folder.empty())
    throw Error(ErrorKind::Usage, "give either --output-dir or --in-place");
  options.wanted.existing = options.force ? Existing::Replace : Existing::Refuse;
  const auto known = models::KnownReleases::find();
  Report report = render_replace_mek(models::replace_meks(options.wanted, known), options.in_place);
  if (known) report.log_entry = known->state().size - 1;
  return report;
}

}  // namespace

void add_replace_mek(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "replace-mek",
      "Put new wrapped MEKs into sealed models, without a token. Where there is a home, each must be of a "
      "release in its log that still holds. Give --output-dir or --in-place");
  auto options = std::make_shared<ReplaceMekOptions>();
  command
      ->add_option("--encrypted-qpc", options->wanted.sealed,
                   "A sealed model, or a folder: all sealed models below it")
      ->required();
  command
      ->add_option("--wrapped-meks", options->wanted.wrapped,
                   "Output folder of wrap-mek, or the cards' folders in the order of the partitions")
      ->required();
  command->add_option("--output-dir", options->wanted.output_folder,
                      "Where the bound models go, under their names and in their folders");
  command->add_flag("--in-place", options->in_place, "Change the models themselves instead of --output-dir");
  add_vendor_options(*command, options->vendor);
  command->add_flag("--force", options->force, "Replace existing outputs");
  add_output_options(*command, context);
  command->callback([&context, options] {
    context.command = [options] {
      return options->vendor.vendor() ? replace_vendor(*options) : run_replace_mek(*options);
    };
  });
}

}  // namespace qpcseal::cli
