// SPDX-License-Identifier: Apache-2.0
#include "policy/evaluate.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "policy/card_rules.h"
#include "policy/collateral_rules.h"
#include "policy/glob.h"

namespace qpcseal::policy {

class Judge {
 public:
  // The only ways to a Decision. A seal is allowed where nothing was found, and never otherwise.
  static Decision seal(Findings findings) {
    Decision out;
    out.allowed_ = findings.empty();
    out.findings_ = std::move(findings);
    return out;
  }

  // A release is allowed where nothing was found, a class fits, and the appraisal affirms throughout.
  static Decision release(Findings findings, const DeviceClass* device, bool appraised, const Facts& facts) {
    Decision out;
    out.trust_ = appraise(findings, appraised);
    const bool allowed = findings.empty() && device != nullptr && out.trust_.affirming();
    out.findings_ = std::move(findings);
    if (!allowed) return out;
    out.allowed_ = true;
    out.device_class_ = device->name;
    out.svn_minimums_ = svn_minimums(*device, facts);
    return out;
  }
};

namespace {

void append_all(Findings& out, Findings more) {
  out.insert(out.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

Findings check_policy_time(const Policy& policy, UnixTime now) {
  if (now < policy.expires.value) return {};
  return {{"POL-EXPIRED", "policy", "at " + format_time(now), "before " + format_time(policy.expires.value),
           policy.at(policy.expires.line)}};
}

std::vector<const MekRule*> matching(const Policy& policy, std::string_view label) {
  std::vector<const MekRule*> out;
  for (const MekRule& mek : policy.meks) {
    const auto& patterns = mek.labels.value;
    if (std::any_of(patterns.begin(), patterns.end(),
                    [&](const auto& p) { return matches_label(p, label); })) {
      out.push_back(&mek);
    }
  }
  return out;
}

// The rule for the key, or why there is none.
const MekRule* find_rule(const Policy& policy, std::string_view label, Findings& findings) {
  const std::vector<const MekRule*> rules = matching(policy, label);
  if (rules.size() == 1) return rules.front();
  if (rules.empty()) {
    findings.push_back({"POL-MEK", "MEK", std::string(label), "a label that a [[mek]] names", policy.file});
  } else {
    findings.push_back({"POL-MEK-AMBIGUOUS", "MEK", std::string(label) + " matches several [[mek]]",
                        "exactly one", policy.at(rules[1]->labels.line)});
  }
  return nullptr;
}

const MekRule& need_rule(const Policy& policy, std::string_view label) {
  Findings findings;
  if (const MekRule* rule = find_rule(policy, label, findings)) return *rule;
  throw Error(ErrorKind::Denied,
              "MEK '" + std::string(label) + "': the policy has no rule, or more than one, for it",
              "add it to one [[mek]] of " + policy.file);
}

// `so_far + wanted <= most`, without overflow; nothing wanted makes no sense and is not allowed either.
bool within(std::uint64_t so_far, std::uint64_t wanted, std::uint64_t most) {
  return wanted > 0 && so_far <= most && wanted <= most - so_far;
}

bool suite_serves(unsigned suite, std::string_view key) {
  switch (suite) {
    case 1:
      return key == "p256" || key == "p384";
    case 2:
      return key == "p256";
    case 3:
    case 4:
      return key == "rsa";
    default:
      return false;
  }
}

void check_suite(const Policy& policy, const MekRule& rule, const Facts& facts, Findings& findings) {
  const auto& allowed = rule.suites.value;
  if (std::find(allowed.begin(), allowed.end(), facts.suite) == allowed.end()) {
    std::vector<std::string> names;
    for (const unsigned suite : allowed) names.push_back(std::to_string(suite));
    findings.push_back(
        {"POL-SUITE", "suite", std::to_string(facts.suite), join(names), policy.at(rule.suites.line)});
  }
  if (!suite_serves(facts.suite, facts.card.session_key)) {
    findings.push_back({"POL-SUITE-KEY", "suite", std::to_string(facts.suite),
                        facts.card.session_key.empty() ? "a session key to serve"
                                                       : "one for " + facts.card.session_key + " keys",
                        "FORMAT.md section 3"});
  }
}

void check_releases(const Policy& policy, const MekRule& rule, const Facts& facts, Findings& findings) {
  if (within(facts.mek.releases, facts.releases_wanted, rule.max_releases.value)) return;
  findings.push_back(
      {"POL-RELEASES", "releases",
       std::to_string(facts.mek.releases) + " so far, " + std::to_string(facts.releases_wanted) + " wanted",
       "at most " + std::to_string(rule.max_releases.value), policy.at(rule.max_releases.line)});
}

void check_format(const Policy& policy, const MekRule& rule, std::string_view format, Findings& findings) {
  const auto& allowed = rule.formats.value;
  if (std::find(allowed.begin(), allowed.end(), format) != allowed.end()) return;
  findings.push_back(
      {"POL-FORMAT", "format", std::string(format), join(allowed), policy.at(rule.formats.line)});
}

// The first class that fits; where none does, everything against each of them.
const DeviceClass* find_class(const Policy& policy, const MekRule& rule, const Facts& facts,
                              Findings& findings) {
  Findings against;
  for (const std::string& name : rule.devices.value) {
    const DeviceClass* device = policy.device(name);
    if (device == nullptr) {
      against.push_back({"POL-DEVICE", "device class", name, "a [[device]]", policy.at(rule.devices.line)});
      continue;
    }
    Findings found = check_card(policy, *device, facts);
    if (found.empty()) return device;
    append_all(against, std::move(found));
  }
  if (against.empty())
    against.push_back({"POL-DEVICE", "device class", "none", "one or more", policy.at(rule.line)});
  append_all(findings, std::move(against));
  return nullptr;
}

// By its own name, or as the CRC of one that is: a CRC of plaintext confirms a guess of it.
bool is_sealed(const MekRule& rule, std::string_view name) {
  const auto& more = rule.segments.value;
  const auto named = [&](std::string_view one) {
    return std::ranges::find(kAlwaysSealed, one) != std::end(kAlwaysSealed) ||
           std::ranges::find(more, one) != more.end();
  };
  constexpr std::string_view kCrc = ".crc";
  return named(name) || (name.ends_with(kCrc) && named(name.substr(0, name.size() - kCrc.size())));
}

std::vector<std::string> wanted_segments(const MekRule& rule, const std::vector<std::string>& available) {
  std::vector<std::string> out;
  for (const std::string& name : available)
    if (is_sealed(rule, name)) out.push_back(name);
  return out;
}

void check_segments(const Policy& policy, const MekRule& rule, const SealFacts& facts, Findings& findings) {
  std::vector<std::string> wanted = wanted_segments(rule, facts.available), given = facts.segments;
  std::sort(wanted.begin(), wanted.end());
  std::sort(given.begin(), given.end());
  if (wanted == given && !wanted.empty()) return;
  findings.push_back({"POL-SEGMENTS", "segments", join(given),
                      wanted.empty() ? "at least one to seal" : join(wanted), policy.at(rule.segments.line)});
}

}  // namespace

Decision evaluate(const Policy& policy, const Facts& facts) {
  Findings findings = check_policy_time(policy, facts.now);
  append_all(findings, check_challenge(policy, facts));
  append_all(findings, check_revoked_card(policy, facts.card));
  append_all(findings, check_collateral(policy, facts));
  const MekRule* rule = find_rule(policy, facts.mek.label, findings);
  if (rule == nullptr) return Judge::release(std::move(findings), nullptr, false, facts);
  check_format(policy, *rule, facts.format, findings);
  if (facts.format == kOwnFormat) check_suite(policy, *rule, facts, findings);
  check_releases(policy, *rule, facts, findings);
  const DeviceClass* device = find_class(policy, *rule, facts, findings);
  return Judge::release(std::move(findings), device, true, facts);
}

Decision evaluate(const Policy& policy, const ExposeFacts& facts) {
  Findings findings = check_policy_time(policy, facts.now);
  const MekRule* rule = find_rule(policy, facts.mek.label, findings);
  if (rule != nullptr) check_format(policy, *rule, kVendorFormat, findings);
  if (!policy.approvals_for("mek-expose"))
    findings.push_back({"POL-EXPOSE", "approvals", "no 'mek-expose'", "a number of officers", policy.file});
  return Judge::seal(std::move(findings));
}

Decision evaluate(const Policy& policy, const SealFacts& facts) {
  Findings findings = check_policy_time(policy, facts.now);
  const MekRule* rule = find_rule(policy, facts.mek.label, findings);
  if (rule == nullptr) return Judge::seal(std::move(findings));
  check_format(policy, *rule, kOwnFormat, findings);
  const auto& modes = rule->modes.value;
  if (std::find(modes.begin(), modes.end(), facts.mode) == modes.end()) {
    findings.push_back({"POL-MODE", "mode", facts.mode, join(modes), policy.at(rule->modes.line)});
  }
  check_segments(policy, *rule, facts, findings);
  if (rule->elf.value == ElfRule::HostReadable)
    for (const SealFacts::Whole& one : facts.whole)
      findings.push_back({"POL-ELF", one.segment, one.why,
                          "an ELF file with " + join(rule->elf_sections.value) + " for the host",
                          policy.at(rule->elf.line)});
  if (!within(facts.mek.encryptions, facts.encryptions_wanted, rule->max_encryptions.value)) {
    findings.push_back({"POL-ENCRYPTIONS", "encryptions",
                        std::to_string(facts.mek.encryptions) + " so far, " +
                            std::to_string(facts.encryptions_wanted) + " wanted",
                        "at most " + std::to_string(rule->max_encryptions.value),
                        policy.at(rule->max_encryptions.line)});
  }
  return Judge::seal(std::move(findings));
}

std::vector<std::string> segments_to_seal(const Policy& policy, std::string_view label,
                                          const std::vector<std::string>& available) {
  return wanted_segments(need_rule(policy, label), available);
}

std::int64_t challenge_lifetime(const Policy& policy, std::string_view label) {
  std::optional<std::int64_t> shortest;
  for (const std::string& name : need_rule(policy, label).devices.value) {
    const DeviceClass* device = policy.device(name);
    if (device == nullptr) continue;
    shortest =
        std::min(shortest.value_or(device->challenge_lifetime.value), device->challenge_lifetime.value);
  }
  return shortest.value_or(0);
}

std::vector<std::string> session_key_types(const Policy& policy, std::string_view label) {
  const MekRule& rule = need_rule(policy, label);
  std::set<std::string> known;
  for (const std::string& name : rule.devices.value) {
    const DeviceClass* device = policy.device(name);
    if (device != nullptr) known.insert(device->session_keys.value.begin(), device->session_keys.value.end());
  }
  std::vector<std::string> out;
  for (const std::string& key : known) {  // the set's order is the preferred one: p256, p384, rsa
    const auto& suites = rule.suites.value;
    if (std::any_of(suites.begin(), suites.end(), [&](unsigned suite) { return suite_serves(suite, key); })) {
      out.push_back(key);
    }
  }
  return out;
}

}  // namespace qpcseal::policy
