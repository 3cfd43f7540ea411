// SPDX-License-Identifier: Apache-2.0
#include "appliance/mek/compromise.h"

#include <memory>

#include "appliance/cli/commands/audit_options.h"
#include "base/error.h"

namespace qpcseal::cli {

namespace {

using nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

// The workstation is one more place that may have it.
std::string exposure_note(const audit::MekHistory& mek) {
  if (mek.exposures == 0) return {};
  return "EXPOSED: the vendor's tool on this workstation had it in the clear " +
         std::to_string(mek.exposures) + (mek.exposures == 1 ? " time" : " times") + ", since " +
         format_time(mek.exposed_since) + "\n\n";
}

std::string containers_text(const mek::CompromisePlan& plan) {
  if (plan.containers.empty()) return plan.tool_models.empty() ? "no container was sealed under it\n" : "";
  Rows rows{{"SEALED", "MODEL", "VERSION", "SEAL ID", "SINCE SEALED UNDER"}};
  for (const auto& container : plan.containers)
    rows.push_back({format_time(container.sealed), printable(container.model),
                    std::to_string(container.version), container.seal_id,
                    container.again.empty() ? "-" : container.again});
  return "containers that were sealed under it:\n" + table(rows);
}

std::string tool_models_text(const mek::CompromisePlan& plan) {
  if (plan.tool_models.empty()) return {};
  Rows rows{{"ENCRYPTED", "MODEL", "SHA-256", "SINCE ENCRYPTED UNDER"}};
  for (const mek::ToolModel& model : plan.tool_models)
    rows.push_back({format_time(model.encrypted), printable(model.model), model.model_sha256,
                    model.again.empty() ? "-" : model.again});
  return "models that the vendor's tool encrypted under it:\n" + table(rows);
}

std::string cards_text(const mek::CompromisePlan& plan) {
  if (plan.cards.empty()) return "no card got it\n";
  Rows rows{{"HOST", "DEVICE", "CARD", "LAST RELEASE", "RELEASES", "NEWER KEY SINCE", "RESET SINCE"}};
  for (const auto& card : plan.cards)
    rows.push_back({card.host.empty() ? "?" : printable(card.host),
                    card.device ? std::to_string(*card.device) : "?", card.ueid, format_time(card.last),
                    std::to_string(card.releases) + (card.unsettled ? " and one begun" : ""),
                    card.again ? "yes" : "no", card.reset ? "yes" : "no"});
  return "cards that got it, or may have got it, and hold it until they are reset:\n" + table(rows);
}

std::string steps_text(const mek::CompromisePlan& plan) {
  std::string out = "what to do, in this order:\n";
  unsigned number = 0;
  for (const mek::Step& step : plan.steps) {
    out += std::to_string(++number) + ". " + step.what + "\n";
    for (const std::string& command : step.commands) out += "   " + printable(command) + "\n";
  }
  return out;
}

ordered_json json_of_plan(const mek::CompromisePlan& plan) {
  ordered_json out{
      {"mek", plan.mek.label},
      {"mek_id", to_hex(plan.mek.id)},
      {"state", plan.mek.state},
      {"successor", plan.successor.empty() ? ordered_json(nullptr) : ordered_json(plan.successor)},
      {"backups", plan.backups},
      {"exposures", plan.mek.exposures},
      {"containers", ordered_json::array()},
      {"tool_models", ordered_json::array()},
      {"cards", ordered_json::array()},
      {"steps", ordered_json::array()}};
  for (const auto& c : plan.containers)
    out["containers"].push_back(
        {{"seal_id", c.seal_id},
         {"model", c.model},
         {"model_version", c.version},
         {"sealed", format_time(c.sealed)},
         {"entry", c.entry},
         {"sealed_again_under", c.again.empty() ? ordered_json(nullptr) : ordered_json(c.again)}});
  for (const mek::ToolModel& model : plan.tool_models)
    out["tool_models"].push_back(
        {{"model", model.model},
         {"model_sha256", model.model_sha256},
         {"encrypted", format_time(model.encrypted)},
         {"entry", model.entry},
         {"encrypted_again_under", model.again.empty() ? ordered_json(nullptr) : ordered_json(model.again)}});
  for (const auto& c : plan.cards)
    out["cards"].push_back({{"ueid", c.ueid},
                            {"host", c.host.empty() ? ordered_json(nullptr) : ordered_json(c.host)},
                            {"device", c.device ? ordered_json(*c.device) : ordered_json(nullptr)},
                            {"releases", c.releases},
                            {"last_release", format_time(c.last)},
                            {"entry", c.entry},
                            {"containers", c.containers},
                            {"newer_key_since", c.again},
                            {"reset_since", c.reset},
                            {"unsettled", c.unsettled},
                            {"by_tool", c.by_tool}});
  for (const auto& step : plan.steps)
    out["steps"].push_back({{"what", step.what}, {"commands", step.commands}});
  return out;
}

// Reads the log without lock or token.
Report compromise(const AuditOptions& options, const std::string& reference) {
  if (options.dir.empty() && !site::find_home())
    throw Error(ErrorKind::Io, "there is no appliance at " + site::locate_home().root.string(),
                "QPCSEAL_HOME names its home; --log COPY --key VKEY reads a copy of its log")
        .with_code("not-found");
  const audit::LogCopy log = read_log(options);
  const mek::CompromisePlan plan = mek::plan_compromise(log, reference);
  Report report;
  report.json = json_of_plan(plan);
  report.text = plan.mek.label + " (id " + to_hex(plan.mek.id) + "), " +
                (plan.successor.empty() ? "not rotated yet" : "replaced by " + plan.successor) + "\n\n" +
                exposure_note(plan.mek) + containers_text(plan) + tool_models_text(plan) + "\n" +
                cards_text(plan) + "\n" + steps_text(plan);
  return report;
}

}  // namespace

void add_plan(CLI::App& app, Context& context) {
  CLI::App* plan = app.add_subcommand("plan", "Plans for emergencies; changes nothing");
  plan->require_subcommand(1);
  CLI::App* command =
      plan->add_subcommand("compromise",
                           "After a compromise of a key: the models and cards that hold it, and the commands "
                           "that replace it. Reads only the log; run it again to see what is left to do");
  const auto options = std::make_shared<AuditOptions>();
  auto reference = std::make_shared<std::string>();
  command->add_option("MEK", *reference, "label#generation; a name that has one generation")->required();
  add_log_options(*command, options);
  add_output_options(*command, context);
  command->callback([&context, options, reference] {
    context.command = [options, reference] { return compromise(*options, *reference); };
  });
}

}  // namespace qpcseal::cli
