// SPDX-License-Identifier: Apache-2.0
#include "appliance/release/challenge.h"

#include <algorithm>

#include "appliance/audit/store.h"
#include "appliance/keys/wrap.h"
#include "appliance/release/verdict.h"
#include "base/error.h"
#include "base/text.h"
#include "policy/evaluate.h"

namespace qpcseal::release {

namespace {

using encoding::Json;

constexpr std::size_t kNonce = 32;  // bytes

// What policy and token can serve, in the policy's order.
std::vector<attest::SessionKeyType> key_types(site::Appliance& appliance, const keys::Mek& mek) {
  const auto abilities = keys::probe_suites(appliance.session());
  const policy::MekRule* rule = appliance.policy().mek(mek.label);
  std::vector<attest::SessionKeyType> out;
  for (const std::string& name : policy::session_key_types(appliance.policy(), mek.label)) {
    const auto type = attest::session_key_type(name);
    if (!type) continue;
    const bool served = std::any_of(abilities.begin(), abilities.end(), [&](const keys::SuiteAbility& a) {
      const auto& allowed = rule->suites.value;
      return a.type == peer_type(*type) &&
             std::find(allowed.begin(), allowed.end(), static_cast<unsigned>(a.suite)) != allowed.end();
    });
    if (served) out.push_back(*type);
  }
  if (out.empty())
    throw Error(ErrorKind::Denied, "token and policy have no wrap suite in common for " + mek.label,
                "'qpcseal doctor' lists the token's suites");
  return out;
}

Json entry_of(const attest::Request& request, const ChallengeOptions& options, const std::string& label) {
  Json data{{"nonce", to_hex(request.nonce)},
            {"mek_id", to_hex(request.mek_id)},
            {"mek", label},
            {"expires", static_cast<std::uint64_t>(request.expiry)},
            {"ueid", nullptr},
            {"host", nullptr},
            {"device", nullptr}};
  if (options.ueid) data["ueid"] = to_hex(*options.ueid);
  if (!options.host.empty()) data["host"] = options.host;
  if (options.device) data["device"] = *options.device;
  return data;
}

}  // namespace

std::vector<attest::Request> make_requests(site::Appliance& appliance, const keys::Mek& mek,
                                           const std::vector<ChallengeOptions>& wishes) {
  appliance.refuse_expired_policy();
  const auto types = key_types(appliance, mek);
  const UnixTime expiry = appliance.now() + policy::challenge_lifetime(appliance.policy(), mek.label);
  const Bytes aud = from_hex(encoding::text_member(appliance.log().state().genesis, "aud"));
  std::vector<attest::Request> out;
  std::vector<Json> entries;
  for (const ChallengeOptions& options : wishes) {
    out.push_back({aud, appliance.random().bytes(kNonce), mek.id, options.ueid, expiry, types});
    entries.push_back(entry_of(out.back(), options, mek.label));
  }
  appliance.log().events("challenge", std::move(entries));
  return out;
}

std::string new_request_hint(const Findings& findings, const std::string& mek) {
  // The card that a challenge was made for can answer it still.
  const bool stale = std::ranges::any_of(findings, [](const Finding& finding) {
    return finding.id.starts_with("POL-CHALLENGE") && finding.id != "POL-CHALLENGE-UEID";
  });
  return stale
             ? "the card answers a new request: qpcseal attest request --mek " + shell_word(mek) + " -o FILE"
             : "";
}

std::map<Bytes, std::string> uses_of_challenges(const site::Home& home, const audit::State& state,
                                                const std::vector<Bytes>& nonces) {
  std::map<std::uint64_t, Bytes> wanted;  // by the entry that used them up
  for (const Bytes& nonce : nonces) {
    const auto challenge = state.challenges.find(nonce);
    if (challenge != state.challenges.end() && challenge->second.consumed)
      wanted.emplace(challenge->second.intent, nonce);
  }
  std::map<Bytes, std::string> out;
  if (wanted.empty()) return out;
  std::uint64_t at = 0;
  audit::Store::open_to_read(home.log()).each_line([&](std::string_view entry) {
    if (const auto found = wanted.find(at); found != wanted.end())
      out[found->second] = "its challenge was used up by log entry " + std::to_string(at) + ", of " +
                           format_time(audit::parse_entry(entry).time);
    return at++ < wanted.rbegin()->first;
  });
  return out;
}

}  // namespace qpcseal::release
