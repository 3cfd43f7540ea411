// SPDX-License-Identifier: Apache-2.0
#include "appliance/keys/mek.h"

#include <memory>

#include "appliance/audit/mek_names.h"
#include "appliance/audit/read.h"
#include "appliance/cli/commands/context.h"
#include "appliance/mek/generate.h"
#include "appliance/mek/rotate.h"
#include "appliance/site/key_census.h"
#include "base/error.h"
#include "base/nearest.h"
#include "cli/exit_code.h"

namespace qpcseal::cli {

namespace {

Report generate(Context& context, const std::string& name) {
  const auto look = [&](const site::Outlook& outlook) { mek::look_at_generate(outlook, name); };
  site::Appliance appliance(context.environment({.look = look}));
  const keys::Mek mek = mek::generate(appliance, name);
  Report report;
  report.json = {{"label", mek.label}, {"id", to_hex(mek.id)}, {"token", appliance.token().label}};
  report.text =
      "made " + mek.label + " (id " + to_hex(mek.id) + ") in token " + appliance.token().label + "\n";
  return report;
}

Report rotate_mek(Context& context, const std::string& name) {
  const auto look = [&](const site::Outlook& outlook) { mek::look_at_rotate(outlook, name); };
  site::Appliance appliance(context.environment({.look = look}));
  const mek::Rotated made = mek::rotate(appliance, name);
  Report report;
  report.json = {{"label", made.next.label},
                 {"id", to_hex(made.next.id)},
                 {"replaces", made.replaced.label},
                 {"token", appliance.token().label}};
  report.text = "made " + made.next.label + " (id " + to_hex(made.next.id) + ") in token " +
                appliance.token().label + "; '" + made.next.name + "' now means this one\n" +
                made.replaced.label +
                " seals nothing more; what it sealed stays as it is: 'qpcseal plan compromise " +
                made.replaced.label + "' lists it and what to do\n";
  return report;
}

// Whoever had the workstation since then may have the key.
std::string exposed_text(const audit::MekHistory& history) {
  if (history.exposures == 0) return "never";
  return "EXPOSED since " + format_time(history.exposed_since) + ", " + std::to_string(history.exposures) +
         (history.exposures == 1 ? " time" : " times");
}

void add_exposed(nlohmann::ordered_json& json, const audit::MekHistory& history) {
  json["exposures"] = history.exposures;
  json["exposed_since"] = history.exposures == 0 ? nlohmann::ordered_json(nullptr)
                                                 : nlohmann::ordered_json(format_time(history.exposed_since));
}

Report list_meks(const std::vector<mek::MekView>& views) {
  Report report;
  report.json = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> rows{
      {"LABEL", "ID", "CREATED", "ENCRYPTIONS", "RELEASES", "ORIGIN", "EXPOSED", "STATE"}};
  for (const mek::MekView& view : views) {
    const audit::MekHistory none;
    const audit::MekHistory& history = view.history ? *view.history : none;
    const std::string state = view.missing ? "missing" : view.history ? history.state : "not in the log";
    const std::string created = view.history ? format_time(history.created) : "";
    rows.push_back({view.mek.label, to_hex(view.mek.id), created, std::to_string(history.encryptions),
                    std::to_string(history.releases), view.history ? history.origin : "",
                    exposed_text(history),
                    view.missing ? "MISSING from the token (" + history.state + " in the log)" : state});
    report.json.push_back({{"label", view.mek.label},
                           {"id", to_hex(view.mek.id)},
                           {"created", created},
                           {"encryptions", history.encryptions},
                           {"releases", history.releases},
                           {"origin", view.history ? history.origin : ""},
                           {"state", state}});
    add_exposed(report.json.back(), history);
    if (view.missing) report.json.back()["logged_state"] = history.state;
  }
  report.text =
      rows.size() > 1 ? table(rows) : "no MEK in the token; 'qpcseal mek generate NAME' makes one\n";
  return report;
}

// Reading waits for nobody: while another command holds the lock, the log answers.
template <typename FromToken, typename FromLog>
Report read_or_ask_log(FromToken from_token, FromLog from_log) {
  const site::Home home = site::locate_home();
  const auto logged = [&](const std::string& why) {
    Report report = from_log(home);
    report.text += "as the log says: " + why + ", and the token was not asked\n";
    return report;
  };
  if (site::is_read_only(home)) return logged("the home cannot be written to");
  try {
    return from_token();
  } catch (const Error& error) {
    if (error.code() != "lock-busy") throw;
    return logged("another qpcseal is at work");
  }
}

Report list_in_token(Context& context) {
  site::Appliance appliance(context.environment_to_read());
  Report report = list_meks(mek::list(appliance));
  for (const keys::Mek& mek : appliance.missing())
    report.text += mek.label + ": " + site::missing_hint(mek) + "\n";
  for (const keys::Leftover& left : appliance.leftovers())
    report.text += "half made: a " + left.object.name + "; 'qpcseal mek cleanup' removes it\n";
  return report;
}

Report list_meks(Context& context) {
  return read_or_ask_log([&] { return list_in_token(context); },
                         [](const site::Home& home) { return list_meks(mek::list_logged(home)); });
}

Report cleanup(Context& context) {
  site::Appliance appliance(context.environment());
  const std::size_t count = mek::destroy_leftovers(appliance);
  Report report;
  report.json = {{"destroyed", count}};
  report.text = count == 0 ? "nothing half made is in the token\n"
                           : "destroyed " + std::to_string(count) + " half-made objects in the token\n";
  return report;
}

// What the log knows of a key that the token lost.
Report show_missing(const site::Appliance& appliance, const keys::Mek& mek) {
  const audit::MekHistory& history = appliance.log().state().meks.at(mek.id);
  Report report;
  report.exit_code = exit_code(ErrorKind::Token);
  report.json = {
      {"label", mek.label}, {"id", to_hex(mek.id)},          {"origin", history.origin},
      {"state", "missing"}, {"logged_state", history.state}, {"attributes", nlohmann::ordered_json::array()}};
  report.text = site::missing_text(mek) + "\n" + site::missing_hint(mek) + "\n";
  return report;
}

std::string verdict_of_mek(const keys::AttributeReport& attribute) {
  if (attribute.observed == keys::kNotGiven) return "by the 24 bytes that it was unwrapped from";
  if (attribute.good) return "";
  if (attribute.required) return "WRONG, required";
  return attribute.accepted ? "differs, accepted by the site" : "differs, desired";
}

keys::Origin origin_of(const site::Appliance& appliance, const keys::Mek& mek) {
  const auto known = appliance.log().state().meks.find(mek.id);
  if (known == appliance.log().state().meks.end()) return keys::Origin::Generated;
  if (known->second.returned) return keys::Origin::Transferee;  // unwrapped, and may encrypt
  return keys::origin_from(known->second.origin).value_or(keys::Origin::Generated);
}

Report show_in_token(Context& context, const std::string& reference) {
  site::Appliance appliance(context.environment_to_read());
  if (const auto lost = appliance.find_missing(reference)) return show_missing(appliance, *lost);
  const keys::Mek mek = keys::find_mek(appliance.session(), reference);
  const keys::Origin origin = origin_of(appliance, mek);
  const auto known = appliance.log().state().meks.find(mek.id);
  const std::string origin_name(known == appliance.log().state().meks.end() ? keys::to_string(origin)
                                                                            : known->second.origin);
  Report report;
  report.json = {{"label", mek.label},
                 {"id", to_hex(mek.id)},
                 {"origin", origin_name},
                 {"attributes", nlohmann::ordered_json::array()}};
  std::vector<std::vector<std::string>> rows{{"ATTRIBUTE", "TOKEN SAYS", "EXPECTED", ""}};
  for (const auto& attribute :
       keys::inspect_mek(appliance.session(), mek.object, appliance.facts().accept, origin)) {
    rows.push_back({attribute.name, attribute.observed, attribute.expected, verdict_of_mek(attribute)});
    report.json["attributes"].push_back({{"name", attribute.name},
                                         {"observed", attribute.observed},
                                         {"expected", attribute.expected},
                                         {"required", attribute.required},
                                         {"good", attribute.good},
                                         {"accepted", attribute.accepted}});
    if (!attribute.good && !attribute.accepted) report.exit_code = exit_code(ErrorKind::Token);
  }
  const audit::MekHistory history =
      known == appliance.log().state().meks.end() ? audit::MekHistory{} : known->second;
  add_exposed(report.json, history);
  report.text = mek.label + "  id " + to_hex(mek.id) + "  " + origin_name + "\n" +
                (history.exposures > 0 ? exposed_text(history) + " to the vendor's tool\n" : "") +
                table(rows);
  return report;
}

// By label, or by name the newest.
Report show_logged(const site::Home& home, const std::string& reference) {
  const audit::State state = audit::read_log(home.log(), std::nullopt).state;
  const audit::MekHistory* found = nullptr;
  for (const auto& [id, mek] : state.meks) {
    const bool named = mek.label == reference || keys::name_in(mek.label) == reference;
    if (named && mek.state != "failed" && (found == nullptr || mek.generation > found->generation))
      found = &mek;
  }
  if (found == nullptr)
    throw with_nearest(Error(ErrorKind::Token, "the log knows no MEK '" + reference + "'",
                             "'qpcseal mek list' shows what there is")
                           .with_code("mek-unknown"),
                       reference, audit::mek_names(state));
  Report report;
  report.json = {{"label", found->label},
                 {"id", to_hex(found->id)},
                 {"origin", found->origin},
                 {"logged_state", found->state},
                 {"attributes", nullptr}};
  report.text =
      found->label + "  id " + to_hex(found->id) + "  " + found->origin + "  " + found->state + "\n";
  return report;
}

Report show_mek(Context& context, const std::string& reference) {
  return read_or_ask_log([&] { return show_in_token(context, reference); },
                         [&](const site::Home& home) { return show_logged(home, reference); });
}

CLI::App* add_mek_command(CLI::App& parent, Context& context, const char* name, const char* help,
                          const char* argument, const char* what,
                          Report (*run)(Context&, const std::string&)) {
  CLI::App* command = parent.add_subcommand(name, help);
  auto text = std::make_shared<std::string>();
  command->add_option(argument, *text, what)->required();
  add_output_options(*command, context);
  add_token_options(*command, context);
  command->callback(
      [&context, text, run] { context.command = [&context, text, run] { return run(context, *text); }; });
  return command;
}

}  // namespace

void add_mek(CLI::App& app, Context& context) {
  CLI::App* mek = app.add_subcommand("mek", "Model Encryption Keys in the token");
  mek->require_subcommand(1);
  CLI::App* making = add_mek_command(*mek, context, "generate", "Make a key in the token", "NAME",
                                     "Letters, digits, '.', '_', '-'", generate);
  add_approval_options(*making, context);
  CLI::App* rotating =
      add_mek_command(*mek, context, "rotate", "Make the key's next generation, which takes its place",
                      "NAME", "The key's name, without a generation", rotate_mek);
  add_approval_options(*rotating, context);
  add_mek_command(*mek, context, "show", "A key's attributes as the token reports them", "MEK",
                  "Label, label#generation or PKCS #11 URI", show_mek);
  add_mek_life(*mek, context);
  add_mek_backup(*mek, context);
  CLI::App* cleaning =
      mek->add_subcommand("cleanup", "Destroy the half-made objects of a run that was cut short");
  add_output_options(*cleaning, context);
  add_token_options(*cleaning, context);
  cleaning->callback([&context] { context.command = [&context] { return cleanup(context); }; });
  CLI::App* listing = mek->add_subcommand("list", "All keys, with their use so far");
  add_output_options(*listing, context);
  add_token_options(*listing, context);
  listing->callback([&context] { context.command = [&context] { return list_meks(context); }; });
}

}  // namespace qpcseal::cli
