// SPDX-License-Identifier: Apache-2.0
#include "appliance/ceremony/preflight.h"

#include <sys/utsname.h>

#include <algorithm>
#include <set>

#include "appliance/approval/quorum.h"
#include "appliance/ceremony/step_rules.h"
#include "appliance/keys/mek.h"
#include "appliance/keys/wrap.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/file_name.h"
#include "base/nearest.h"
#include "policy/officers_needed.h"

namespace qpcseal::ceremony {

namespace {

using encoding::Json;

constexpr std::size_t kMaxReleaseFile = 65536;  // bytes

std::string os_name() {
  utsname kernel{};
  if (uname(&kernel) != 0) return "unknown";
  std::string name = std::string(kernel.sysname) + " " + kernel.release;
  std::error_code ignored;
  if (!std::filesystem::exists("/usr/lib/os-release", ignored)) return name;
  const Bytes text = read_file("/usr/lib/os-release", kMaxReleaseFile);
  constexpr std::string_view kKey = "PRETTY_NAME=\"";
  const std::size_t at = text_view(text).find(kKey);
  if (at == std::string_view::npos) return name;
  const std::string_view rest = text_view(text).substr(at + kKey.size());
  return std::string(rest.substr(0, rest.find('"'))) + ", " + name;
}

std::string binary_digest() {
  std::error_code failed;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", failed);
  return failed ? "unknown" : to_hex(pkcs11::Module::digest_of(path));
}

Json suites_of(site::Appliance& appliance) {
  std::vector<unsigned> numbers;
  for (const keys::SuiteAbility& ability : keys::probe_suites(appliance.session()))
    if (const auto number = static_cast<unsigned>(ability.suite);
        std::ranges::find(numbers, number) == numbers.end())
      numbers.push_back(number);
  return numbers;
}

// The generations of each MEK as a plan's steps go by.
class Generations {
 public:
  explicit Generations(const audit::State& state) {
    for (const auto& [id, mek] : state.meks) {
      Known& name = names_[std::string(keys::name_in(mek.label))];
      name.highest = std::max(name.highest, mek.generation);
      if (mek.state == "failed") continue;
      name.was_made = true;
      if (mek.state != "destroyed") name.there.insert(mek.generation);
    }
  }

  // Says what is wrong with the step; nothing where it can be.
  std::string take(const Step& step) {
    const auto argument = step.arguments.find("mek");
    if (argument == step.arguments.end() || step.act == "mek-drill") return "";
    const MekReference mek = parse_reference(argument->second);
    Known& name = names_[mek.name];
    if (step.act == "mek-generate") {
      if (name.was_made) return "there is, or was, a MEK '" + mek.name + "' already";
      name = {true, 1, {1}};
      return "";
    }
    if (step.act == "mek-restore") {
      name.was_made = true;
      name.there.insert(mek.generation);  // 0: whichever the backup is of
      return "";
    }
    if (name.there.empty()) return "there is no MEK '" + mek.name + "'" + meant(mek.name);
    if (step.act == "mek-rotate") {
      name.there.insert(++name.highest);
      return "";
    }
    return use(step, mek, name);
  }

 private:
  // What was probably meant, of the names that have a key.
  [[nodiscard]] std::string meant(const std::string& wrong) const {
    std::vector<std::string> known;
    for (const auto& [name, one] : names_)
      if (!one.there.empty()) known.push_back(name);
    const std::string out = did_you_mean(wrong, known);
    return out.empty() ? "" : "; " + out;
  }

  struct Known {
    bool was_made = false;
    std::uint64_t highest = 0;
    std::set<std::uint64_t> there;
  };

  static std::string use(const Step& step, const MekReference& mek, Known& name) {
    if (mek.generation == 0 && name.there.size() > 1)
      return "'" + mek.name + "' has several generations: name one, such as " +
             keys::make_label(mek.name, *name.there.rbegin());
    std::uint64_t which = mek.generation == 0 ? *name.there.begin() : mek.generation;
    if (!name.there.contains(which) && name.there.contains(0)) which = 0;
    if (!name.there.contains(which)) return "there is no MEK '" + keys::make_label(mek.name, which) + "'";
    if (step.act == "mek-destroy") name.there.erase(which);
    return "";
  }

  std::map<std::string, Known> names_;
};

void add_missing(Complaints& out, const Json& have, const Json& want, const std::string& what) {
  for (const Json& one : want)
    if (std::find(have.begin(), have.end(), one) == have.end()) out.push_back(what + " " + one.dump());
}

site::ImageDemand demand_of(const Plan& plan) { return {"IMG-PLAN", "the plan", "demands", plan.image}; }

}  // namespace

Complaints check_policy(const Plan& plan, const policy::Policy& policy, UnixTime now) {
  Complaints out;
  if (now >= policy.expires.value)
    out.push_back("the policy expired at " + format_time(policy.expires.value));
  for (const Step& step : plan.steps) {
    if (!act_rule(step.act)->is_operation) continue;
    const auto needed = policy::officers_needed(policy, step.act);
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

Complaints check_inputs(const Plan& plan, const std::filesystem::path& dir, const History* history) {
  Complaints out;
  for (const Step& step : plan.steps) {
    if (history != nullptr && history->done(step.id)) continue;
    for (const Input& input : step_inputs(step)) {
      try {
        const std::string found = sha256_hex(read_file(dir / input.file, kMaxInput));
        if (found != input.sha256)
          out.push_back("step '" + step.id + "': " + input.file + " has SHA-256 " + found +
                        ", the plan says " + input.sha256);
      } catch (const Error& error) {
        out.push_back("step '" + step.id + "': " + error.what());
      }
    }
  }
  return out;
}

Complaints check_outputs(const Plan& plan, const std::filesystem::path& dir) {
  Complaints out;
  for (const Step& step : plan.steps) {
    const auto output = step_output(step);
    if (output && is_name_taken(dir / *output))
      out.push_back("step '" + step.id + "': output " + *output + " exists already");
  }
  return out;
}

Complaints check_meks(const Plan& plan, const audit::State& state) {
  Complaints out;
  Generations generations(state);
  for (const Step& step : plan.steps) {
    const std::string wrong = generations.take(step);
    if (!wrong.empty()) out.push_back("step '" + step.id + "': " + wrong);
  }
  return out;
}

std::string other_appliance(const Plan& plan, const audit::State& state) {
  const std::string &id = encoding::text_member(state.genesis, "appliance_id"),
                    &aud = encoding::text_member(state.genesis, "aud");
  if (id == plan.appliance && aud == plan.aud) return "";
  return "the plan is for appliance " + plan.appliance + " (" + plan.aud + "), this is " + id + " (" + aud +
         ")";
}

Complaints check_place(const Plan& plan, const site::Home& home, const audit::State& state, UnixTime now) {
  Complaints out;
  if (const std::string other = other_appliance(plan, state); !other.empty()) out.push_back(other);
  if (now >= plan.valid_until) out.push_back("the plan was valid until " + format_time(plan.valid_until));
  const auto used = state.ceremonies.find(plan.sha256);
  if (used != state.ceremonies.end() && !audit::may_begin_anew(used->second))
    out.emplace_back("the plan was used before");
  if (state.approvals_used.contains(plan.sha256)) out.emplace_back("the plan was rejected");
  std::size_t officers = 0;
  if (!state.officers_digest.empty())
    officers = approval::count_signers(approval::read_officers(home.officers(), state), kPlanNamespace, now);
  if (officers < plan.threshold)
    out.push_back("the plan wants " + std::to_string(plan.threshold) + " officers, this appliance has " +
                  std::to_string(officers) + " who may sign plans now");
  return out;
}

Complaints check_officers(const Plan& plan, const site::Home& home, const audit::State& state) {
  Complaints out;
  std::set<std::string> known;
  if (!state.officers_digest.empty())
    for (const approval::Officer& officer : approval::read_officers(home.officers(), state).list)
      known.insert(officer.name);
  for (const Person& person : plan.people) {
    if (person.officer.empty() || known.contains(person.officer)) continue;
    const std::string meant = did_you_mean(person.officer, {known.begin(), known.end()});
    out.push_back("'" + person.name + "' signs as '" + person.officer + "', and no officer has that name" +
                  (meant.empty() ? "" : "; " + meant));
  }
  return out;
}

Complaints check_image(const Plan& plan, const site::RunningImage& running) {
  if (plan.image.empty() || plan.image == running.root_hash) return {};
  return {site::other_image(demand_of(plan), running, "").what()};
}

void expect_image(const Plan& plan, const site::RunningImage& running) {
  if (check_image(plan, running).empty()) return;
  throw site::other_image(demand_of(plan), running,
                          "boot that image, or let officers sign a plan that demands this one");
}

// The record names one image: that of the whole ceremony.
void expect_same_image(const History& begun, const site::RunningImage& running) {
  const Json image = encoding::member(begun.begin, "environment").value("image", Json());
  const std::string before = image.is_null() ? "" : image.get<std::string>();
  if (before == running.root_hash) return;
  throw site::other_image({"IMG-BEGUN", "the ceremony", "began under", before}, running,
                          "boot what it began under; 'qpcseal ceremony resume --abandon' ends it");
}

Complaints check_people(const Plan& plan) {
  if (plan.threshold <= plan.people.size()) return {};
  return {"the plan wants " + std::to_string(plan.threshold) + " officers and names " +
          std::to_string(plan.people.size()) + " people"};
}

Json describe_environment(site::Appliance& appliance) {
  const pkcs11::TokenInfo& token = appliance.token();
  const auto signing = keys::probe_signing(appliance.session());
  const std::string& image = appliance.image().root_hash;
  return {{"os", os_name()},
          {"image", image.empty() ? Json(nullptr) : Json(image)},
          {"binary_sha256", binary_digest()},
          {"software", "qpcseal " + std::string(software_version())},
          {"module", appliance.site().module},
          {"module_sha256", appliance.facts().module_sha256},
          {"token",
           {{"label", token.label},
            {"serial", token.serial},
            {"model", token.model},
            {"manufacturer", token.manufacturer},
            {"firmware", token.firmware}}},
          {"signing", signing == keys::SigningType::Ed25519 ? "ed25519" : "ecdsa-p256"},
          {"suites", suites_of(appliance)},
          {"lacking", keys::probe_desired(appliance.session())},
          {"anchor", appliance.facts().anchor}};
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

void refuse(const std::string& what, const Complaints& complaints) {
  if (complaints.empty()) return;
  std::string text = what;
  for (const std::string& complaint : complaints) text += "; " + complaint;
  throw Error(ErrorKind::Denied, text);
}

}  // namespace qpcseal::ceremony
