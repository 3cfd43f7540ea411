// SPDX-License-Identifier: Apache-2.0
#include "policy/card_rules.h"

#include <algorithm>

#include "base/text.h"
#include "policy/collateral_rules.h"

namespace qpcseal::policy {
namespace {

constexpr const char* kBuiltIn = "always";

template <typename T>
bool contains(const std::vector<T>& list, const T& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

std::vector<std::string> hexes(const std::vector<Bytes>& list) {
  std::vector<std::string> out;
  for (const Bytes& bytes : list) out.push_back(to_hex(bytes));
  return out;
}

std::string shown(const std::string& text) { return text; }
std::string shown(std::uint64_t number) { return std::to_string(number); }
std::string shown(const Bytes& bytes) { return to_hex(bytes); }
std::string shown(bool yes) { return yes ? "true" : "false"; }
std::string shown(const std::vector<std::string>& list) { return join(list); }

template <typename T>
std::string or_absent(const std::optional<T>& value) {
  return value ? shown(*value) : "absent";
}
template <typename T>
std::string or_no_claim(const std::optional<T>& value) {
  return value ? shown(*value) : "no such claim";
}

// The log's floor for a measurement of this model; 0 where it has none.
std::uint64_t floor_of(const Facts& facts, const std::string& name) {
  std::uint64_t out = 0;
  for (const SvnFloor& floor : facts.svn_floors) {
    const bool same = floor.scheme == facts.card.scheme &&
                      floor.hwmodel == facts.card.hwmodel.value_or(Bytes{}) && floor.name == name;
    if (same) out = std::max(out, floor.svn);
  }
  return out;
}

// Collects findings against one class.
class Checker {
 public:
  Checker(const Policy& policy, const DeviceClass& device, const Facts& facts)
      : policy_(policy), device_(device), facts_(facts) {}

  void expect(bool good, std::string id, std::string claim, std::string observed, std::string expected,
              int line) {
    if (good) return;
    findings_.push_back(
        {std::move(id), std::move(claim), std::move(observed), std::move(expected), policy_.at(line)});
  }

  void identity(const CardFacts& card) {
    const DeviceClass& d = device_;
    expect(card.scheme == d.scheme.value, "POL-SCHEME", "scheme", card.scheme, d.scheme.value, d.scheme.line);
    expect(contains(d.roots.value, card.root), "POL-ROOT", "root", to_hex(card.root),
           join(hexes(d.roots.value)), d.roots.line);
    same("POL-OEMID", "oemid", card.oemid, d.oemid);
    same("POL-HWMODEL", "hwmodel", card.hwmodel, d.hwmodel);
    same("POL-HWVERSION", "hwversion", card.hwversion, d.hwversion);
    const bool listed = !d.ueids.value || contains(*d.ueids.value, card.ueid);
    expect(listed && !card.ueid.empty(), "POL-UEID", "ueid", to_hex(card.ueid), "a listed card",
           d.ueids.line);
    expect(!d.crl_required.value || card.crls_current, "POL-CRL", "revocation lists",
           "none, or not from every issuer", "a current list from every issuer", d.crl_required.line);
  }

  void state(const CardFacts& card) {
    const DeviceClass& d = device_;
    expect(card.dbgstat >= d.min_dbgstat.value && card.dbgstat <= 4, "POL-DBGSTAT", "dbgstat",
           std::to_string(card.dbgstat), "at least " + std::to_string(d.min_dbgstat.value),
           d.min_dbgstat.line);
    const bool staged =
        d.lifecycle.value ? card.lifecycle && contains(*d.lifecycle.value, *card.lifecycle) : !card.lifecycle;
    expect(staged, "POL-LIFECYCLE", "lifecycle", or_absent(card.lifecycle), or_no_claim(d.lifecycle.value),
           d.lifecycle.line);
    expect(contains(d.session_keys.value, card.session_key), "POL-SESSION-KEY", "session key",
           card.session_key.empty() ? "none: " + card.session_key_fault : card.session_key,
           join(d.session_keys.value), d.session_keys.line);
    const bool booted = d.oemboot.value ? card.oemboot == true : !card.oemboot;
    expect(booted, "POL-OEMBOOT", "oemboot", or_absent(card.oemboot),
           d.oemboot.value ? "true" : "no such claim", d.oemboot.line);
  }

  void challenge(const ChallengeFacts& challenge, UnixTime now) {
    if (!challenge.known) return;  // check_challenge says so
    const Rule<std::int64_t>& lifetime = device_.challenge_lifetime;
    const bool young = challenge.made <= now && now - challenge.made < lifetime.value;
    expect(young, "POL-CHALLENGE-LIFETIME", "challenge age", std::to_string(now - challenge.made) + " s",
           "less than " + std::to_string(lifetime.value) + " s", lifetime.line);
  }

  void budget() {
    const Rule<std::uint64_t>& most = device_.max_releases;
    expect(facts_.card_releases < most.value, "POL-CARD-RELEASES", "releases to this card",
           std::to_string(facts_.card_releases) + " so far, of all keys",
           "at most " + std::to_string(most.value), most.line);
  }

  void measurements(const std::vector<MeasurementRule>& rules, const std::vector<MeasurementFact>& facts,
                    const std::string& where, int line) {
    for (const MeasurementRule& rule : rules) {
      const bool there =
          std::any_of(facts.begin(), facts.end(), [&](const auto& fact) { return fact.name == rule.name; });
      expect(there, "POL-MEASUREMENT-MISSING", where + rule.name, "absent", "measured", rule.line);
    }
    for (const MeasurementFact& fact : facts) {
      const auto rule =
          std::find_if(rules.begin(), rules.end(), [&](const auto& r) { return r.name == fact.name; });
      if (rule == rules.end()) {
        expect(false, "POL-MEASUREMENT-EXTRA", where + fact.name, to_hex(fact.digest), "no such component",
               line);
      } else {
        measurement(*rule, fact, where);
      }
    }
  }

  void submods(const CardFacts& card) {
    const auto& rules = device_.submods.value;
    for (const SubmodRule& rule : rules) {
      const bool there = std::any_of(card.submods.begin(), card.submods.end(),
                                     [&](const auto& s) { return s.name == rule.name; });
      expect(there, "POL-SUBMOD-MISSING", "submod " + rule.name, "absent", "present", rule.line);
    }
    for (const SubmodFact& fact : card.submods) {
      const auto rule =
          std::find_if(rules.begin(), rules.end(), [&](const auto& r) { return r.name == fact.name; });
      expect(rule != rules.end(), "POL-SUBMOD-EXTRA", "submod " + fact.name, "present", "no such submodule",
             device_.submods.line);
      expect(fact.dbgstat >= device_.min_dbgstat.value && fact.dbgstat <= 4, "POL-SUBMOD-DBGSTAT",
             "dbgstat of " + fact.name, std::to_string(fact.dbgstat),
             "at least " + std::to_string(device_.min_dbgstat.value), device_.min_dbgstat.line);
      if (rule != rules.end())
        measurements(rule->measurements, fact.measurements, fact.name + "/", rule->line);
    }
  }

  Findings take() { return std::move(findings_); }

 private:
  template <typename T>
  void same(const char* id, const char* claim, const std::optional<T>& value,
            const Rule<std::optional<T>>& rule) {
    expect(value == rule.value, id, claim, or_absent(value), or_no_claim(rule.value), rule.line);
  }

  void measurement(const MeasurementRule& rule, const MeasurementFact& fact, const std::string& where) {
    const std::vector<Bytes> digests = allowed_digests(rule, facts_.collateral);
    expect(contains(digests, fact.digest), "POL-MEASUREMENT-DIGEST", where + fact.name, to_hex(fact.digest),
           digests.empty() ? "a reference that no bundle has" : join(hexes(digests)), rule.line);
    expect(fact.svn.value_or(0) >= rule.min_svn, "POL-SVN", "SVN of " + where + fact.name,
           fact.svn ? std::to_string(*fact.svn) : "absent", "at least " + std::to_string(rule.min_svn),
           rule.line);
    const std::uint64_t floor = floor_of(facts_, where + fact.name);
    if (fact.svn.value_or(0) < floor)
      findings_.push_back(
          {"POL-SVN-FLOOR", "SVN of " + where + fact.name, fact.svn ? std::to_string(*fact.svn) : "absent",
           "at least " + std::to_string(floor) + ", as earlier releases demanded", "the log"});
  }

  const Policy& policy_;
  const DeviceClass& device_;
  const Facts& facts_;
  Findings findings_;
};

}  // namespace

Findings check_card(const Policy& policy, const DeviceClass& device, const Facts& facts) {
  Checker checker(policy, device, facts);
  checker.identity(facts.card);
  checker.state(facts.card);
  checker.challenge(facts.challenge, facts.now);
  checker.budget();
  checker.measurements(device.measurements, facts.card.measurements, "", device.line);
  checker.submods(facts.card);
  return checker.take();
}

std::vector<SvnFloor> svn_minimums(const DeviceClass& device, const Facts& facts) {
  std::vector<SvnFloor> out;
  const auto add = [&](const MeasurementRule& rule, const std::string& where) {
    const std::uint64_t least = std::max(rule.min_svn, floor_of(facts, where + rule.name));
    if (least > 0)
      out.push_back({facts.card.scheme, facts.card.hwmodel.value_or(Bytes{}), where + rule.name, least});
  };
  for (const MeasurementRule& rule : device.measurements) add(rule, "");
  for (const SubmodRule& submod : device.submods.value)
    for (const MeasurementRule& rule : submod.measurements) add(rule, submod.name + "/");
  return out;
}

Findings check_challenge(const Policy&, const Facts& facts) {
  Findings out;
  const ChallengeFacts& ours = facts.challenge;
  const auto expect = [&](bool good, const char* id, const char* claim, std::string observed,
                          std::string expected) {
    if (!good) out.push_back({id, claim, std::move(observed), std::move(expected), kBuiltIn});
  };
  if (!ours.known) {
    expect(false, "POL-CHALLENGE", "nonce", to_hex(facts.card.nonce), "a challenge that this appliance made");
    return out;
  }
  expect(!ours.nonce.empty() && ours.nonce == facts.card.nonce, "POL-CHALLENGE-NONCE", "nonce",
         to_hex(facts.card.nonce), to_hex(ours.nonce));
  expect(!ours.aud.empty() && ours.aud == facts.card.aud, "POL-AUD", "aud", to_hex(facts.card.aud),
         to_hex(ours.aud));
  expect(!ours.consumed, "POL-CHALLENGE-USED", "challenge", "used before", "used once");
  expect(facts.now < ours.expiry, "POL-CHALLENGE-EXPIRED", "challenge", "expired " + format_time(ours.expiry),
         "later than " + format_time(facts.now));
  expect(!ours.mek_id.empty() && ours.mek_id == facts.mek.id, "POL-CHALLENGE-MEK", "MEK of the challenge",
         to_hex(ours.mek_id), to_hex(facts.mek.id));
  expect(!ours.ueid || *ours.ueid == facts.card.ueid, "POL-CHALLENGE-UEID", "ueid", to_hex(facts.card.ueid),
         ours.ueid ? to_hex(*ours.ueid) : "");
  return out;
}

Findings check_revoked_card(const Policy& policy, const CardFacts& card) {
  Findings out;
  for (const DeviceClass& device : policy.devices) {
    if (!contains(device.revoked_ueids.value, card.ueid)) continue;
    out.push_back(
        {"POL-REVOKED", "ueid", to_hex(card.ueid), "not revoked", policy.at(device.revoked_ueids.line)});
  }
  return out;
}

}  // namespace qpcseal::policy
