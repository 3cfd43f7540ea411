// SPDX-License-Identifier: Apache-2.0
// Challenges, and the releases that answer them.
#include <algorithm>

#include "appliance/audit/state_kinds.h"

namespace qpcseal::audit {

namespace {

Challenge challenge_of(const Entry& entry) {
  const encoding::Json& data = entry.data;
  Challenge out;
  out.nonce = bytes_member(data, "nonce", kNonceSize);
  out.mek_id = bytes_member(data, "mek_id", kMekIdSize);
  out.made = entry.time;
  out.expires = static_cast<UnixTime>(encoding::uint_member(data, "expires"));
  if (const encoding::Json& ueid = encoding::member(data, "ueid"); !ueid.is_null())
    out.ueid = from_hex(encoding::text_member(data, "ueid"));
  if (const encoding::Json& host = encoding::member(data, "host"); !host.is_null())
    out.host = encoding::text_member(data, "host");
  if (const encoding::Json& device = encoding::member(data, "device"); !device.is_null())
    out.device = encoding::uint_member(data, "device");
  return out;
}

void make_challenge(State& state, const Entry& entry) {
  Challenge challenge = challenge_of(entry);
  const Bytes nonce = challenge.nonce;
  require(state.challenges.emplace(nonce, std::move(challenge)).second, "a nonce that was used before");
}

// Officers agreed to it in an intent before.
void check_approved(const State& state, const encoding::Json& intent) {
  const auto named = intent.find("approved_by");
  if (named == intent.end()) return;
  const auto used = state.approvals_used.find(encoding::hex_member(intent, "approved_by", kNonceSize));
  require(used != state.approvals_used.end() && !used->second.empty(),
          "a release under an approval that is not there");
}

// Officers agreed to releases that were begun under another request, or none.
void agree_release(State& state, const Entry& entry) {
  const encoding::Json& agreed = encoding::member(entry.data, "agreed");
  const std::string& request = encoding::hex_member(agreed, "request_sha256", kDigestSize);
  const auto used =
      state.approvals_used.emplace(encoding::hex_member(agreed, "nonce", kNonceSize), request).first;
  require(used->second == request, "a request that was used before");
  const encoding::Json& intents = encoding::member(entry.data, "intents");
  require(intents.is_array() && !intents.empty(), "it covers no release");
  for (const encoding::Json& seq : intents) {
    require(seq.is_number_unsigned(), "no number of an entry");
    const auto open = state.open.find(seq.get<std::uint64_t>());
    require(open != state.open.end() && open->second.kind == entry.kind, "it covers what is no open release");
  }
}

// It counts from here on: a run that is cut short may have wrapped the key. An unknown nonce is a denial,
// recorded all the same.
void begin_release(State& state, const Entry& entry) {
  check_approved(state, entry.data);
  const std::string& report = encoding::hex_member(entry.data, "report_sha256", kDigestSize);
  require(encoding::text_member(encoding::member(entry.data, "policy"), "digest") == state.policy_digest,
          "a release under a policy that is not in force");
  ++known_mek(state, entry.data, "a release of an unknown MEK").releases;
  ++state.card_releases[from_hex(encoding::text_member(entry.data, "ueid"))];
  Challenge* challenge = state.challenges.change(from_hex(encoding::text_member(entry.data, "nonce")));
  if (challenge == nullptr || challenge->consumed) return;
  challenge->consumed = true;
  challenge->consumed_by = report;
  challenge->intent = entry.seq;
}

// What the release demanded is the least for all that follow.
void raise_floors(State& state, const encoding::Json& floors) {
  require(floors.is_array(), "svn_floors are no list");
  for (const encoding::Json& floor : floors) {
    const SvnSubject subject{encoding::text_member(floor, "scheme"),
                             from_hex(encoding::text_member(floor, "hwmodel")),
                             encoding::text_member(floor, "name")};
    std::uint64_t& least = state.svn_floors[subject];
    least = std::max(least, encoding::uint_member(floor, "svn"));
  }
}

// A key is wrapped for the challenge that this very release used up, and for no other; under a key in use.
void check_wrapped_for(State& state, const OpenIntent& intent) {
  const auto challenge = state.challenges.find(from_hex(encoding::text_member(intent.data, "nonce")));
  require(challenge != state.challenges.end() && challenge->second.intent == intent.seq,
          "a key wrapped for a challenge that its release did not use up");
  require(challenge->second.mek_id == bytes_member(intent.data, "mek_id", kMekIdSize),
          "a key wrapped for another MEK's challenge");
  require(!challenge->second.ueid ||
              *challenge->second.ueid == from_hex(encoding::text_member(intent.data, "ueid")),
          "a key wrapped for another card's challenge");
  const MekHistory& mek = known_mek(state, intent.data, "a release of an unknown MEK");
  require(mek.state == "ok", "a release of a MEK that is '" + mek.state + "'");
}

// From here on the key may have left, whatever the result says or does not say.
void wrap_release(State& state, const Entry& entry, const OpenIntent& intent) {
  check_wrapped_for(state, intent);
  if (const auto exposed = entry.data.find("exposed"); exposed != entry.data.end())
    check_exposed(state, *exposed, intent);
  else
    encoding::hex_member(entry.data, "pub_sha256", kDigestSize);
  const encoding::Json& raised = encoding::member(entry.data, "raised");
  raise_floors(state, encoding::member(raised, "svn_floors"));
  raise_crls(state, encoding::member(raised, "crls"), true);
}

// Nothing was wrapped: the release did not happen.
void uncount(State& state, const OpenIntent& intent) {
  --known_mek(state, intent.data, "a release of an unknown MEK").releases;
  const auto card = state.card_releases.find(from_hex(encoding::text_member(intent.data, "ueid")));
  if (--card->second == 0) state.card_releases.erase(card);
}

void end_release(State& state, const Entry& entry, const OpenIntent& intent) {
  if (entry.outcome == "denied" || entry.outcome == "failed") uncount(state, intent);
  if (entry.outcome != "ok") return;
  if (!intent.wrapped.contains("exposed"))
    state.releases[encoding::text_member(intent.wrapped, "wrapped_sha256")] =
        ReleaseRecord{entry.seq, bytes_member(intent.data, "mek_id", kMekIdSize),
                      from_hex(encoding::text_member(intent.data, "ueid")),
                      from_hex(encoding::text_member(intent.data, "nonce")),
                      encoding::text_member(intent.wrapped, "pub_sha256")};
  Challenge* challenge = state.challenges.change(from_hex(encoding::text_member(intent.data, "nonce")));
  if (challenge != nullptr && challenge->intent == intent.seq) challenge->released_by = entry.seq;
}

}  // namespace

// Numbers are big-endian without leading zeros, so the longer one is the higher.
void raise_crls(State& state, const encoding::Json& crls, bool older_too) {
  require(crls.is_array(), "crls are no list");
  for (const encoding::Json& crl : crls) {
    Bytes& highest = state.crl_numbers[from_hex(encoding::text_member(crl, "issuer"))];
    Bytes number = from_hex(encoding::text_member(crl, "number"));
    require(number.empty() || number.front() != 0, "a crlNumber with leading zeros");
    const bool lower = number.size() != highest.size() ? number.size() < highest.size() : number < highest;
    require(older_too || !lower, "a crlNumber that does not rise");
    if (!lower) highest = std::move(number);
  }
}

const Kind kChallenge{"challenge", make_challenge};
const Kind kRelease{"release", agree_release, begin_release, end_release, wrap_release};
const Kind kDenied{"denied", nothing};
const Kind kRefused{"refused", nothing};

}  // namespace qpcseal::audit
