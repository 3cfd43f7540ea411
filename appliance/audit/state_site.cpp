// SPDX-License-Identifier: Apache-2.0
// What the site pinned: policy, trust, the log's own key and its repairs.
#include "appliance/audit/state_kinds.h"

namespace qpcseal::audit {

namespace {

void genesis(State& state, const Entry& entry) {
  state.genesis = entry.data;
  state.site = genesis_facts(entry.data);
  state.log_keys.push_back({0, encoding::text_member(entry.data, "log_key")});
  state.trust_digest = encoding::hex_member(entry.data, "trust", kDigestSize);
  state.policy_digest = encoding::hex_member(encoding::member(entry.data, "policy"), "digest", kDigestSize);
  state.policy_serial = encoding::uint_member(encoding::member(entry.data, "policy"), "serial");
  if (!encoding::member(entry.data, "officers").is_null())
    state.officers_digest = encoding::hex_member(entry.data, "officers", kDigestSize);
}

void genesis_accepted(State& state, const Entry& entry) {
  static_cast<void>(encoding::hex_member(entry.data, "text_sha256", kDigestSize));
  require(!state.officers_digest.empty() && !state.genesis_accepted, "a genesis that was accepted before");
  state.genesis_accepted = true;
}

// A pinned file changes by an intent that names the next digest; it holds from the result "ok" on.
void begin_policy(State& state, const Entry& entry) {
  static_cast<void>(encoding::hex_member(entry.data, "digest", kDigestSize));
  require(encoding::uint_member(entry.data, "serial") > state.policy_serial,
          "a policy serial that does not rise");
}

void end_policy(State& state, const Entry& entry, const OpenIntent& intent) {
  if (entry.outcome != "ok") return;
  require(encoding::uint_member(intent.data, "serial") > state.policy_serial,
          "a policy serial that does not rise");
  state.policy_serial = encoding::uint_member(intent.data, "serial");
  state.policy_digest = encoding::hex_member(intent.data, "digest", kDigestSize);
}

void begin_officers(State& state, const Entry& entry) {
  require(!state.officers_digest.empty(), "officers for an appliance that began without");
  static_cast<void>(encoding::hex_member(entry.data, "digest", kDigestSize));
}

void end_officers(State& state, const Entry& entry, const OpenIntent& intent) {
  if (entry.outcome == "ok") state.officers_digest = encoding::hex_member(intent.data, "digest", kDigestSize);
}

void begin_trust(State& state, const Entry& entry) {
  static_cast<void>(encoding::hex_member(entry.data, "digest", kDigestSize));
  static_cast<void>(encoding::member(entry.data, "crls"));
  require(encoding::uint_member(entry.data, "serial") > state.collateral_serial,
          "a bundle serial that does not rise");
}

void end_trust(State& state, const Entry& entry, const OpenIntent& intent) {
  if (entry.outcome != "ok") return;
  require(encoding::uint_member(intent.data, "serial") > state.collateral_serial,
          "a bundle serial that does not rise");
  state.collateral_serial = encoding::uint_member(intent.data, "serial");
  state.trust_digest = encoding::hex_member(intent.data, "digest", kDigestSize);
  raise_crls(state, encoding::member(intent.data, "crls"), false);
}

void recovery(State& state, const Entry& entry) {
  state.quarantined.insert(encoding::text_member(entry.data, "quarantine"));
}

// Officers refused a request, perhaps when part of what it asks for was done; it serves no more.
void rejection(State& state, const Entry& entry) {
  static_cast<void>(encoding::text_member(entry.data, "operation"));
  const std::string& request = encoding::hex_member(entry.data, "request_sha256", kDigestSize);
  const std::string& nonce = encoding::hex_member(entry.data, "nonce", kNonceSize);
  const auto [used, fresh] = state.approvals_used.emplace(nonce, "");
  const auto again = state.approvals_again.find(nonce);
  const bool failed = again != state.approvals_again.end() && again->second == request;
  require(fresh || failed || used->second == request, "a rejection of a request that was used before");
  state.approvals_used.change(nonce)->clear();
  if (failed) state.approvals_again.erase(again);
}

void end_rotate_key(State& state, const Entry& entry, const OpenIntent& /*intent*/) {
  if (entry.outcome == "ok") rotate(state.log_keys, entry);
}

}  // namespace

void rotate(std::vector<LogKey>& keys, const Entry& rotation) {
  const tlog::VerifierKey next = rotated_key(rotation, tlog::VerifierKey::parse(keys.back().vkey));
  keys.push_back({rotation.seq, next.text()});
}

const Kind kGenesis{"genesis", genesis};
const Kind kGenesisAccepted{"genesis-accepted", genesis_accepted};
const Kind kPolicy{"policy", nullptr, begin_policy, end_policy};
const Kind kOfficers{"officers", nullptr, begin_officers, end_officers};
const Kind kTrust{"trust", nullptr, begin_trust, end_trust};
const Kind kRejection{"rejection", rejection};
const Kind kRecovery{"recovery", recovery};
const Kind kRotateKey{"rotate-key", nullptr, nothing, end_rotate_key};

}  // namespace qpcseal::audit
