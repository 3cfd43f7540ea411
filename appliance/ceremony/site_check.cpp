#include "appliance/ceremony/site_check.h"

#include <sys/utsname.h>

#include <algorithm>

#include "appliance/ceremony/acts.h"
#include "appliance/keys/wrap.h"
#include "appliance/release/approvals.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::ceremony {

namespace {

using audit::Json;

constexpr std::size_t kMaxInput = 65536, kMaxRelease = 65536;  // bytes

std::string os_name() {
  utsname kernel{};
  if (uname(&kernel) != 0) return "unknown";
  std::string name = std::string(kernel.sysname) + " " + kernel.release;
  std::error_code ignored;
  if (!std::filesystem::exists("/usr/lib/os-release", ignored)) return name;
  const Bytes text = read_file("/usr/lib/os-release", kMaxRelease);
  constexpr std::string_view kKey = "PRETTY_NAME=\"";
  const std::size_t at = text_of(text).find(kKey);
  if (at == std::string_view::npos) return name;
  const std::string_view rest = text_of(text).substr(at + kKey.size());
  return std::string(rest.substr(0, rest.find('"'))) + ", " + name;
}

std::string binary_digest() {
  std::error_code failed;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", failed);
  return failed ? "unknown" : to_hex(pkcs11::Module::digest_of(path));
}

Json suites_of(release::Appliance& appliance) {
  std::vector<unsigned> numbers;
  for (const keys::SuiteAbility& ability : keys::probe_suites(appliance.session()))
    if (const auto number = static_cast<unsigned>(ability.suite);
        std::ranges::find(numbers, number) == numbers.end())
      numbers.push_back(number);
  return numbers;
}

void add_missing(Complaints& out, const Json& have, const Json& want, const std::string& what) {
  for (const Json& one : want)
    if (std::find(have.begin(), have.end(), one) == have.end()) out.push_back(what + " " + one.dump());
}

}  // namespace

Complaints check_policy(const Plan& plan, const policy::Policy& policy, UnixTime now) {
  Complaints out;
  if (now >= policy.expires.value)
    out.push_back("the policy expired at " + format_time(policy.expires.value));
  for (const Step& step : plan.steps) {
    if (!act_rule(step.act)->is_operation) continue;
    const auto needed = policy.approvals_for(step.act);
    if (!needed) {
      out.push_back("step '" + step.id + "': the policy does not allow '" + step.act + "'");
    } else if (*needed > static_cast<int>(plan.threshold)) {
      out.push_back("step '" + step.id + "': the policy wants " + std::to_string(*needed) +
                    " officers for '" + step.act + "', the plan has a threshold of " +
                    std::to_string(plan.threshold));
    }
  }
  return out;
}

Complaints check_files(const Plan& plan, const std::filesystem::path& folder) {
  Complaints out;
  for (const Step& step : plan.steps) {
    for (const Input& input : inputs_of(step)) {
      try {
        const std::string found = to_hex(sha256(read_file(folder / input.file, kMaxInput)));
        if (found != input.sha256)
          out.push_back("step '" + step.id + "': " + input.file + " has SHA-256 " + found +
                        ", the plan says " + input.sha256);
      } catch (const Error& error) {
        out.push_back("step '" + step.id + "': " + error.what());
      }
    }
    const auto output = output_of(step);
    std::error_code ignored;
    if (output && std::filesystem::symlink_status(folder / *output, ignored).type() !=
                      std::filesystem::file_type::not_found)
      out.push_back("step '" + step.id + "': output " + *output + " exists already");
  }
  return out;
}

Json environment_of(release::Appliance& appliance) {
  const pkcs11::TokenInfo& token = appliance.token();
  const auto signing = keys::probe_signing(appliance.session());
  return {{"os", os_name()},
          {"binary_sha256", binary_digest()},
          {"software", "qpcseal " + std::string(software_version())},
          {"module", appliance.site().module},
          {"module_sha256", appliance.site().module_sha256},
          {"token",
           {{"label", token.label},
            {"serial", token.serial},
            {"model", token.model},
            {"manufacturer", token.manufacturer},
            {"firmware", token.firmware}}},
          {"signing", signing == keys::SigningType::Ed25519 ? "ed25519" : "ecdsa-p256"},
          {"suites", suites_of(appliance)},
          {"lacking", keys::probe_desired(appliance.session())},
          {"anchor", appliance.site().anchor}};
}

Complaints check_token(const Plan& plan, const Json& environment) {
  Complaints out;
  const Json& token = environment.at("token");
  const auto same = [&](const char* what, const Json& found, const std::string& wanted) {
    if (found != wanted)
      out.push_back("the token's " + std::string(what) + " is " + found.dump() + ", the plan says '" +
                    wanted + "'");
  };
  same("manufacturer", token.at("manufacturer"), plan.token.manufacturer);
  same("model", token.at("model"), plan.token.model);
  same("way of signing", environment.at("signing"), plan.token.signing);
  add_missing(out, environment.at("suites"), plan.token.suites, "the token does not serve suite");
  add_missing(out, plan.token.lacking, environment.at("lacking"),
              "the plan does not say that the token lacks");
  if (plan.token.anchor && environment.at("anchor") != true)
    out.emplace_back("the token keeps no anchor of the log");
  return out;
}

policy::Tally check_signatures(const Plan& plan, const release::Home& home, const audit::State& state,
                               const std::vector<std::filesystem::path>& signatures, UnixTime now) {
  if (!state.genesis_accepted && !audit::bool_member(state.genesis, "insecure_demo"))
    throw Error(ErrorKind::ApprovalsMissing, "the officers have not signed the genesis yet");
  if (state.officers_digest.empty()) {
    if (plan.threshold > 0)
      throw Error(ErrorKind::ApprovalsMissing,
                  "the plan wants " + std::to_string(plan.threshold) + " officers, this appliance has none");
    return {};
  }
  const policy::Officers officers = release::read_officers(home, state);
  std::vector<std::string> texts;
  texts.reserve(signatures.size());
  for (const auto& path : signatures) texts.emplace_back(text_of(read_file(path, policy::kMaxSshsig)));
  policy::Tally tally = policy::tally_signatures(officers, kPlanNamespace, view(plan.text), texts, now);
  if (tally.approvers.size() < plan.threshold)
    throw Error(ErrorKind::ApprovalsMissing,
                "the plan wants " + std::to_string(plan.threshold) + " officers, " +
                    std::to_string(tally.approvers.size()) + " signed it so that it counts",
                "ssh-keygen -Y sign -n plan@qpcseal -f KEY PLAN", tally.findings);
  return tally;
}

void check_signers(const Plan& plan, const release::Home& home, const audit::State& state,
                   const audit::Json& signers, UnixTime now) {
  if (state.officers_digest.empty()) return;
  const policy::Officers officers = release::read_officers(home, state);
  const auto still = [&](const audit::Json& signer) {
    return std::ranges::any_of(officers.list, [&](const policy::Officer& officer) {
      return officer.name == audit::text_member(signer, "name") &&
             policy::ssh_fingerprint(officer.key.blob) == audit::text_member(signer, "fingerprint") &&
             !(officer.valid_before && now >= *officer.valid_before);
    });
  };
  std::string gone;
  std::size_t left = 0;
  for (const audit::Json& signer : signers) {
    if (still(signer)) {
      ++left;
    } else {
      gone += (gone.empty() ? "" : ", ") + audit::text_member(signer, "name");
    }
  }
  if (left < plan.threshold)
    throw Error(ErrorKind::ApprovalsMissing,
                "the plan wants " + std::to_string(plan.threshold) + " officers; of those who signed it " +
                    std::to_string(left) + " are left, and no longer officers are " + gone,
                "'qpcseal ceremony resume --abandon' ends it; a new plan needs new signatures");
}

void refuse(const std::string& what, const Complaints& complaints) {
  if (complaints.empty()) return;
  std::string text = what;
  for (const std::string& complaint : complaints) text += "; " + complaint;
  throw Error(ErrorKind::Denied, text);
}

}  // namespace qpcseal::ceremony
