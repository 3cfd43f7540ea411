// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/commands/request_parameters.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "appliance/audit/state.h"
#include "appliance/keys/mek.h"
#include "base/digest.h"
#include "base/error.h"

namespace qpcseal::cli {

namespace {

using encoding::Json;

constexpr std::size_t kDigest = sizeof(Sha256Digest);  // bytes
constexpr std::size_t kMostDigits = 9;

struct Parameter {
  std::string_view name;
  std::size_t hex = 0;                                  // bytes in hex; 0: any text
  bool number = false, optional = false, list = false;  // a list: of values in hex
};
struct Operation {
  std::string_view name;
  std::vector<Parameter> parameters;
};

constexpr Parameter kMek{"mek"}, kMekId{"mek_id", keys::kMekIdSize}, kBackup{"backup_sha256", kDigest},
    kSource{"source_appliance"}, kSerial{"source_serial"}, kSealKey{"source_seal_key_sha256", kDigest};

const std::vector<Operation>& operations() {
  static const std::vector<Operation> kOperations = {
      {"seal", {kMek, kMekId, {"model"}, {"input_sha256", kDigest}}},
      {"mek-generate", {{"name"}}},
      {"mek-rotate", {kMek, kMekId}},
      {"mek-backup", {kMek, kMekId, {"recovery_key_sha256", kDigest}}},
      {"mek-restore", {kMek, kMekId, kBackup, kSource, kSerial, kSealKey, {"origin"}}},
      {"mek-import", {{"name"}, {"check_value", audit::kImportCheckSize}}},
      {"mek-drill", {kMek, kMekId, kBackup, kSource, kSerial, kSealKey, {"days", 0, true}}},
      {"mek-expose",
       {kMek,
        kMekId,
        {"act"},
        {"tool_sha256", kDigest},
        {"program_sha256", kDigest},
        {"reports", kDigest, false, false, true},
        {"model_sha256", kDigest, false, true}}},
      {"mek-suspend", {kMek, kMekId}},
      {"mek-resume", {kMek, kMekId}},
      {"mek-destroy", {kMek, kMekId, {audit::kTransfereeKey, kDigest, false, true}}},
      {"recovery-key", {}},
      {"officers-change", {{"officers_sha256", kDigest}}},
      {"log-key-rotate", {{"previous"}}},
      {"witness-change", {{"vkey"}, {"change"}}},
      {"site-change",
       {{"module_sha256", kDigest, false, true},
        {"module_arguments", 0, false, true},
        {"accept", 0, false, true},
        {"anchor", 0, false, true},
        {"clock_days", 0, true, true},
        {"programs", 0, false, true},
        {"swap", 0, false, true},
        {"image", 0, false, true}}},
      {"anchor-accept", {{"anchor"}, {"log_size", 0, true}, {"log_root", kDigest}}},
      {"clock-correct", {{"old_floor"}}}};
  return kOperations;
}

std::string wanted_by(const Operation& operation) {
  std::string out;
  for (const Parameter& each : operation.parameters)
    out += (out.empty() ? "" : ", ") + std::string(each.name) + (each.optional ? " (optional)" : "");
  return "'" + std::string(operation.name) + "' takes " + (out.empty() ? "no parameters" : out);
}

void check_value(const Operation& operation, const Parameter& parameter, Json& value) {
  const auto refuse = [&](const std::string& form) {
    throw Error(ErrorKind::Usage, "parameter '" + std::string(parameter.name) + "' is " + form,
                wanted_by(operation));
  };
  if (parameter.number && value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    if (text.empty() || text.size() > kMostDigits || text.front() == '0' ||
        text.find_first_not_of("0123456789") != std::string::npos)
      refuse("a number");
    value = std::stoull(text);
  }
  if (parameter.list && !value.is_array()) refuse("a list, of the files that --report names");
  if (parameter.hex > 0 && !parameter.list &&
      !encoding::is_hex(value.get_ref<const std::string&>(), parameter.hex))
    refuse(std::to_string(parameter.hex) + " bytes in hex");
}

}  // namespace

void check_parameters(const std::string& operation, Json& parameters) {
  if (operation == "policy-change" || operation == "trust-import")
    throw Error(ErrorKind::Usage, "'" + operation + "' has no request: officers sign the file itself",
                operation == "policy-change" ? "'qpcseal policy sign'" : "'qpcseal trust sign'");
  const auto found = std::ranges::find(operations(), operation, &Operation::name);
  if (found == operations().end()) return;
  for (const auto& [name, value] : parameters.items())
    if (std::ranges::find(found->parameters, name, &Parameter::name) == found->parameters.end())
      throw Error(ErrorKind::Usage, "'" + operation + "' has no parameter '" + name + "'", wanted_by(*found));
  for (const Parameter& each : found->parameters) {
    const auto value = parameters.find(std::string(each.name));
    if (value != parameters.end())
      check_value(*found, each, *value);
    else if (!each.optional)
      throw Error(ErrorKind::Usage, "parameter '" + std::string(each.name) + "' is missing",
                  wanted_by(*found));
  }
}

}  // namespace qpcseal::cli
