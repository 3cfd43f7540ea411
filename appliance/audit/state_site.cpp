// What the site pinned: policy, trust, the log's own key and its repairs.
#include "appliance/audit/state_kinds.h"

namespace qpcseal::audit {

namespace {

void genesis(State& state, const Entry& entry) {
  state.genesis = entry.data;
  state.log_keys.push_back({0, text_member(entry.data, "log_key")});
  state.trust_digest = hex_member(entry.data, "trust", kDigestSize);
  state.policy_digest = hex_member(member(entry.data, "policy"), "digest", kDigestSize);
  state.policy_serial = uint_member(member(entry.data, "policy"), "serial");
  if (!member(entry.data, "officers").is_null())
    state.officers_digest = hex_member(entry.data, "officers", kDigestSize);
}

void policy(State& state, const Entry& entry) {
  const std::uint64_t serial = uint_member(entry.data, "serial");
  require(serial > state.policy_serial, "a policy serial that does not rise");
  state.policy_serial = serial;
  state.policy_digest = hex_member(entry.data, "digest", kDigestSize);
}

void trust(State& state, const Entry& entry) {
  state.trust_digest = hex_member(entry.data, "digest", kDigestSize);
}

void recovery(State& state, const Entry& entry) {
  state.quarantined.insert(text_member(entry.data, "quarantine"));
}

// Officers refused a request; it serves no more.
void rejection(State& state, const Entry& entry) {
  static_cast<void>(text_member(entry.data, "operation"));
  static_cast<void>(hex_member(entry.data, "request_sha256", kDigestSize));
  require(state.approvals_used.insert(hex_member(entry.data, "nonce", kNonceSize)).second,
          "a rejection of a request that was used before");
}

void end_rotate_key(State& state, const Entry& entry, const OpenIntent& /*intent*/) {
  if (entry.outcome != "ok") return;
  const VerifierKey next = rotated_key(entry, VerifierKey::parse(state.log_keys.back().vkey));
  state.log_keys.push_back({entry.seq, next.text()});
}

}  // namespace

const Kind kGenesis{"genesis", genesis};
const Kind kPolicy{"policy", policy};
const Kind kTrust{"trust", trust};
const Kind kRejection{"rejection", rejection};
const Kind kRecovery{"recovery", recovery};
const Kind kRotateKey{"rotate-key", nullptr, nothing, end_rotate_key};

}  // namespace qpcseal::audit
