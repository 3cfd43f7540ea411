// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "policy/policy.h"

namespace qpcseal::policy {
namespace {

constexpr std::int64_t kLongLifetime = std::int64_t{7} * 86400;
constexpr std::uint64_t kManyReleases = 100000;

class Linter {
 public:
  explicit Linter(const Policy& policy) : policy_(policy) {}

  void device(const DeviceClass& d) {
    warn(!d.ueids.value, d.ueids.line, "any card of class '" + d.name + "' is accepted, whichever its UEID");
    warn(!d.ueids.value && d.revoked_ueids.value.empty() && !d.crl_required.value &&
             !policy_.collateral_required.value,
         d.revoked_ueids.line, "class '" + d.name + "' takes any card and has no rule that could revoke one");
    warn(d.min_dbgstat.value < 2, d.min_dbgstat.line,
         "class '" + d.name + "' takes cards that can be debugged");
    warn(!d.crl_required.value, d.crl_required.line,
         "class '" + d.name + "' needs no certificate revocation lists");
    warn(d.challenge_lifetime.value > kLongLifetime, d.challenge_lifetime.line,
         "challenges live for more than a week");
    claims(d);
    warn(d.max_releases.value == 0, d.max_releases.line, "cards of class '" + d.name + "' can get no key");
    warn(d.max_releases.value > kManyReleases, d.max_releases.line,
         "the maximum of releases to a card is hardly a limit");
    for (const std::string& state : d.lifecycle.value.value_or(std::vector<std::string>{})) {
      warn(state != "secured", d.lifecycle.line,
           "class '" + d.name + "' takes cards in lifecycle '" + state + "'");
    }
    measurements(d.measurements);
    for (const SubmodRule& submod : d.submods.value) measurements(submod.measurements);
    revoked(d);
    warn(!used(d.name), d.line, "no [[mek]] names the class '" + d.name + "'");
  }

  void mek(const MekRule& m) {
    const auto& suites = m.suites.value;
    const auto& modes = m.modes.value;
    warn(std::find(suites.begin(), suites.end(), 4U) != suites.end(), m.suites.line,
         "suite 4 (RSA-OAEP with SHA-1) binds a wrapped key to no challenge");
    warn(std::find(modes.begin(), modes.end(), "envelope") != modes.end(), m.modes.line,
         "envelope mode has data keys in this machine's memory");
    const auto& formats = m.formats.value;
    const bool vendor = std::find(formats.begin(), formats.end(), kVendorFormat) != formats.end();
    warn(vendor, m.formats.line,
         "format \"vendor\" hands these keys to the vendor's tool in the clear: whoever has that tool's "
         "machine may "
         "have them");
    warn(vendor && formats.size() > 1, m.formats.line,
         "one key in two formats: each should have keys of its own");
    warn(m.max_releases.value == 0, m.max_releases.line, "these keys can never be released");
    warn(m.max_releases.value > kManyReleases, m.max_releases.line,
         "the maximum of releases is hardly a limit");
    warn(m.max_encryptions.value == 0, m.max_encryptions.line, "these keys can seal nothing");
    for (const std::string& label : m.labels.value) {
      warn(label == "*", m.labels.line, "the pattern '*' matches every key");
    }
  }

  void appliance() {
    warn(
        policy_.appliance.value == kAnyAppliance, policy_.appliance.line,
        "it names no appliance: it can be the first policy of any, and a later one in a demonstration alone");
  }

  void approvals() {
    warn(!policy_.approvals_for("policy-change"), 1,
         "[approvals] lacks 'policy-change': this policy could never be replaced");
    warn(!policy_.approvals_for("officers-change"), 1,
         "[approvals] lacks 'officers-change': an officer who leaves could never be taken out");
    for (const auto& [operation, count] : policy_.approvals) {
      warn(count.value == 0, count.line, "'" + operation + "' needs no officer");
      // To stop a key is for whoever doubts first; to use it again is not.
      warn(count.value == 1 && operation != "mek-suspend" && operation != "mek-resume", count.line,
           "'" + operation + "' needs one officer alone");
      warn(count.value < 2 && operation == "mek-resume", count.line,
           "'mek-resume' needs fewer than two officers: what one officer stopped, one could let go on");
      power(operation, count);
    }
  }

  // By line, as the file is read.
  std::vector<Warning> take() {
    std::vector<Warning> out;
    for (auto& [line, warning] : found_) out.push_back(std::move(warning));
    return out;
  }

 private:
  void warn(bool when, int line, std::string text) {
    if (when) found_.emplace(line, Warning{policy_.at(line), std::move(text)});
  }

  void power(const std::string& operation, const Rule<int>& count) {
    const int most = policy_.greatest_threshold();
    warn(policy_.is_weak(operation), count.line,
         "'" + operation + "' needs " + std::to_string(most) +
             " officers, as many as any other operation: with " + std::to_string(count.value) +
             " the policy is for demonstrations only");
  }

  void claims(const DeviceClass& d) {
    warn(!d.oemid.value || !d.hwmodel.value, d.oemid.line,
         "class '" + d.name + "' is known by its roots alone, not by maker and model");
    warn(!d.oemboot.value, d.oemboot.line,
         "class '" + d.name + "' takes evidence that does not say whether only the maker's code booted");
    warn(!d.lifecycle.value, d.lifecycle.line,
         "class '" + d.name + "' takes evidence that does not say its lifecycle");
  }

  void measurements(const std::vector<MeasurementRule>& rules) {
    for (const MeasurementRule& rule : rules) {
      warn(rule.min_svn == 0, rule.line, "'" + rule.name + "' may be of any security version");
    }
  }

  void revoked(const DeviceClass& d) {
    for (const Bytes& ueid : d.revoked_ueids.value) {
      const bool listed = d.ueids.value && std::find(d.ueids.value->begin(), d.ueids.value->end(), ueid) !=
                                               d.ueids.value->end();
      warn(listed, d.revoked_ueids.line, to_hex(ueid) + " is both listed and revoked; it is refused");
    }
  }

  [[nodiscard]] bool used(const std::string& name) const {
    return std::any_of(policy_.meks.begin(), policy_.meks.end(), [&](const MekRule& m) {
      return std::find(m.devices.value.begin(), m.devices.value.end(), name) != m.devices.value.end();
    });
  }

  const Policy& policy_;
  std::multimap<int, Warning> found_;  // by line; of one line in the order in which they were found
};

}  // namespace

std::vector<Warning> lint(const Policy& policy) {
  Linter linter(policy);
  for (const DeviceClass& device : policy.devices) linter.device(device);
  for (const MekRule& mek : policy.meks) linter.mek(mek);
  linter.appliance();
  linter.approvals();
  return linter.take();
}

}  // namespace qpcseal::policy
