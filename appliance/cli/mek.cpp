#include "appliance/keys/mek.h"

#include <memory>

#include "appliance/cli/app.h"
#include "appliance/release/keys_ops.h"
#include "appliance/release/rotate.h"

namespace qpcseal::cli {

namespace {

Report generate(Context& context, const std::string& name) {
  release::Appliance appliance(context.environment());
  const keys::Mek mek = release::generate(appliance, name);
  Report report;
  report.json = {{"label", mek.label}, {"id", to_hex(mek.id)}, {"token", appliance.token().label}};
  report.text =
      "made " + mek.label + " (id " + to_hex(mek.id) + ") in token " + appliance.token().label + "\n";
  return report;
}

Report rotate(Context& context, const std::string& name) {
  release::Appliance appliance(context.environment());
  const release::Rotated made = release::rotate(appliance, name);
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

Report list(Context& context) {
  release::Appliance appliance(context.environment());
  Report report;
  report.json = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> rows{
      {"LABEL", "ID", "CREATED", "ENCRYPTIONS", "RELEASES", "ORIGIN", "STATE"}};
  for (const release::MekView& view : release::list(appliance)) {
    const audit::MekHistory none;
    const audit::MekHistory& history = view.history ? *view.history : none;
    const std::string state = view.history ? history.state : "not in the log";
    const std::string created = view.history ? format_time(history.created) : "";
    rows.push_back({view.mek.label, to_hex(view.mek.id), created, std::to_string(history.encryptions),
                    std::to_string(history.releases), view.history ? history.origin : "", state});
    report.json.push_back({{"label", view.mek.label},
                           {"id", to_hex(view.mek.id)},
                           {"created", created},
                           {"encryptions", history.encryptions},
                           {"releases", history.releases},
                           {"origin", view.history ? history.origin : ""},
                           {"state", state}});
  }
  report.text =
      rows.size() > 1 ? table(rows) : "no MEK in the token; 'qpcseal mek generate NAME' makes one\n";
  return report;
}

std::string verdict_of(const keys::AttributeReport& attribute) {
  if (attribute.good) return "";
  if (attribute.required) return "WRONG, required";
  return attribute.accepted ? "differs, accepted by the site" : "differs, desired";
}

keys::Origin origin_of(const release::Appliance& appliance, const keys::Mek& mek) {
  const auto known = appliance.log().state().meks.find(mek.id);
  if (known == appliance.log().state().meks.end()) return keys::Origin::Generated;
  return keys::origin_from(known->second.origin).value_or(keys::Origin::Generated);
}

Report show(Context& context, const std::string& reference) {
  release::Appliance appliance(context.environment());
  const keys::Mek mek = keys::find_mek(appliance.session(), reference);
  const keys::Origin origin = origin_of(appliance, mek);
  Report report;
  report.json = {{"label", mek.label},
                 {"id", to_hex(mek.id)},
                 {"origin", keys::name_of(origin)},
                 {"attributes", nlohmann::ordered_json::array()}};
  std::vector<std::vector<std::string>> rows{{"ATTRIBUTE", "TOKEN SAYS", "EXPECTED", ""}};
  for (const auto& attribute :
       keys::inspect_mek(appliance.session(), mek.object, appliance.facts().accept, origin)) {
    rows.push_back({attribute.name, attribute.observed, attribute.expected, verdict_of(attribute)});
    report.json["attributes"].push_back({{"name", attribute.name},
                                         {"observed", attribute.observed},
                                         {"expected", attribute.expected},
                                         {"required", attribute.required},
                                         {"good", attribute.good},
                                         {"accepted", attribute.accepted}});
    if (!attribute.good && !attribute.accepted) report.exit_code = 6;
  }
  report.text =
      mek.label + "  id " + to_hex(mek.id) + "  " + std::string(keys::name_of(origin)) + "\n" + table(rows);
  return report;
}

CLI::App* add(CLI::App& parent, Context& context, const char* name, const char* help, const char* argument,
              const char* what, Report (*run)(Context&, const std::string&)) {
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
  CLI::App* making = add(*mek, context, "generate", "Make a key in the token", "NAME",
                         "Letters, digits, '.', '_', '-'", generate);
  add_approval_options(*making, context);
  CLI::App* rotating = add(*mek, context, "rotate", "Make the key's next generation, which takes its place",
                           "NAME", "The key's name, without a generation", rotate);
  add_approval_options(*rotating, context);
  add(*mek, context, "show", "A key's attributes as the token reports them", "MEK",
      "Label, label#generation or PKCS #11 URI", show);
  add_mek_life(*mek, context);
  add_mek_backup(*mek, context);
  CLI::App* listing = mek->add_subcommand("list", "All keys, with their use so far");
  add_output_options(*listing, context);
  add_token_options(*listing, context);
  listing->callback([&context] { context.command = [&context] { return list(context); }; });
}

}  // namespace qpcseal::cli
