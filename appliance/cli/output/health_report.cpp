// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/health_report.h"

#include <map>

#include "base/clock.h"
#include "base/terminal.h"
#include "cli/exit_code.h"
#include "encoding/pgp_words.h"

namespace qpcseal::cli {

namespace {

using site::Health;

const char* health_word(Health health) {
  switch (health) {
    case Health::Fine:
      return "fine";
    case Health::Warning:
      return "warning";
    case Health::Fault:
      break;
  }
  return "FAULT";
}

class Metrics {
 public:
  void head(const std::string& name, const char* type, const char* help) {
    text_ += "# HELP qpcseal_" + name + " " + help + "\n# TYPE qpcseal_" + name + " " + type + "\n";
  }
  // `label`: name="value" of ours, or nothing.
  void value(const std::string& name, const std::string& label, std::int64_t number) {
    text_ +=
        "qpcseal_" + name + (label.empty() ? "" : "{" + label + "}") + " " + std::to_string(number) + "\n";
  }
  void gauge(const std::string& name, const char* help, std::int64_t number) {
    head(name, "gauge", help);
    value(name, "", number);
  }
  void time(const std::string& name, const char* help, const std::optional<UnixTime>& when) {
    if (when) gauge(name, help, *when);
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void add_state(Metrics& out, const audit::State& state) {
  out.gauge("log_entries", "Entries of the audit log.", static_cast<std::int64_t>(state.size));
  out.gauge("log_last_entry_timestamp_seconds", "Time of the log's last entry.", state.last_time);
  out.gauge("open_acts", "Acts without a result in the log.", static_cast<std::int64_t>(state.open.size()));
  out.gauge("releases", "Releases of keys to cards that were done.",
            static_cast<std::int64_t>(state.releases.size()));
  std::map<std::string, std::int64_t> keys;
  for (const auto& [id, mek] : state.meks) ++keys[mek.state];
  out.head("meks", "gauge", "Model keys, by state.");
  for (const auto& [name, count] : keys) out.value("meks", "state=\"" + name + "\"", count);
}

}  // namespace

void add_image(Report& report, const site::RunningImage& running) {
  const bool runs = !running.root_hash.empty();
  report.text += "running image: " + (runs ? running.root_hash : "none") + "\n";
  if (runs) report.text += encoding::word_lines(from_hex(running.root_hash), "  ", text_columns());
  if (!running.why_not.empty()) report.text += "  " + printable(running.why_not) + "\n";
  report.json["image"] = runs ? nlohmann::ordered_json(running.root_hash) : nullptr;
  report.json["image_words"] =
      runs ? nlohmann::ordered_json(encoding::to_words(from_hex(running.root_hash))) : nullptr;
  if (!running.why_not.empty()) report.json["image_refused"] = running.why_not;
}

void add_checks(Report& report, const std::vector<site::HealthCheck>& checks) {
  std::vector<Cells> rows;
  std::string hints;
  report.json["checks"] = nlohmann::ordered_json::array();
  for (const site::HealthCheck& check : checks) {
    const bool fine = check.health == Health::Fine;
    rows.push_back({check.id, health_word(check.health), printable(check.text)});
    if (!fine && !check.hint.empty()) hints += check.id + ": " + printable(check.hint) + "\n";
    report.json["checks"].push_back(
        {{"id", check.id},
         {"health", check.health == Health::Fault ? "fault" : health_word(check.health)},
         {"text", check.text},
         {"hint", check.hint}});
  }
  report.text += table(rows, Head::No) + hints;
  const site::HealthCheck* fault = site::first_fault(checks);
  if (fault != nullptr && report.exit_code == 0) report.exit_code = exit_code(fault->kind);
}

std::string prometheus_text(const site::HomeHealth& health) {
  Metrics out;
  out.head("build_info", "gauge", "The version of qpcseal that looked.");
  out.value("build_info", "version=\"" + std::string(software_version()) + "\"", 1);
  out.gauge("healthy", "1 where no check found a fault.",
            site::first_fault(health.checks) == nullptr ? 1 : 0);
  out.head("check", "gauge", "Each check: 0 fine, 1 warning, 2 fault.");
  std::map<std::string, std::int64_t> worst;
  for (const site::HealthCheck& check : health.checks)
    worst[check.id] = std::max(worst[check.id], static_cast<std::int64_t>(check.health));
  for (const auto& [id, level] : worst) out.value("check", "check=\"" + id + "\"", level);
  const site::HealthFacts& facts = health.facts;
  out.time("policy_expiry_timestamp_seconds", "End of the policy in force.", facts.policy_expiry);
  out.time("crl_expiry_timestamp_seconds", "End of the revocation list that ends first.", facts.crl_expiry);
  out.time("collateral_expiry_timestamp_seconds", "End of the collateral bundle.", facts.collateral_expiry);
  out.gauge("drills_due", "Backups whose drill has expired.", static_cast<std::int64_t>(facts.drills_due));
  out.gauge("disk_free_bytes", "Free room on the home's disk.", static_cast<std::int64_t>(facts.disk_free));
  if (health.state) add_state(out, *health.state);
  return out.text();
}

}  // namespace qpcseal::cli
