#include "appliance/audit/state.h"

#include <algorithm>

#include "base/error.h"

namespace qpcseal::audit {

namespace {

constexpr std::size_t kNonceSize = 32, kMekIdSize = 16, kDigestSize = 32;  // bytes

void require(bool good, const std::string& complaint) {
  if (!good) throw Error(ErrorKind::Malformed, complaint);
}

Bytes bytes_member(const Json& data, const char* key, std::size_t size) {
  return from_hex(hex_member(data, key, size));
}

Challenge challenge_of(const Entry& entry) {
  const Json& data = entry.data;
  Challenge out;
  out.nonce = bytes_member(data, "nonce", kNonceSize);
  out.mek_id = bytes_member(data, "mek_id", kMekIdSize);
  out.made = entry.time;
  out.expires = static_cast<UnixTime>(uint_member(data, "expires"));
  if (const Json& ueid = member(data, "ueid"); !ueid.is_null())
    out.ueid = from_hex(text_member(data, "ueid"));
  if (const Json& host = member(data, "host"); !host.is_null()) out.host = text_member(data, "host");
  if (const Json& device = member(data, "device"); !device.is_null())
    out.device = uint_member(data, "device");
  return out;
}

MekHistory mek_of(const Entry& entry) {
  MekHistory out;
  out.id = bytes_member(entry.data, "mek_id", kMekIdSize);
  out.label = text_member(entry.data, "label");
  out.generation = uint_member(entry.data, "generation");
  out.created = entry.time;
  out.state = "pending";
  return out;
}

}  // namespace

void State::apply(const Entry& entry) {
  require(entry.seq == size, "its number is " + std::to_string(entry.seq));
  require(entry.time >= last_time, "its time lies before that of the entry before");
  require((entry.seq == 0) == (entry.kind == "genesis"), "a genesis entry stands first, and only there");
  if (entry.phase == Phase::Event) apply_event(entry);
  if (entry.phase == Phase::Intent) apply_intent(entry);
  if (entry.phase == Phase::Result) apply_result(entry);
  last_time = entry.time;
  ++size;
}

void State::apply_event(const Entry& entry) {
  const Json& data = entry.data;
  if (entry.kind == "genesis") {
    genesis = data;
    trust_digest = hex_member(data, "trust", kDigestSize);
    policy_digest = hex_member(member(data, "policy"), "digest", kDigestSize);
    policy_serial = uint_member(member(data, "policy"), "serial");
  } else if (entry.kind == "challenge") {
    Challenge challenge = challenge_of(entry);
    const Bytes nonce = challenge.nonce;
    require(challenges.emplace(nonce, std::move(challenge)).second, "a nonce that was used before");
  } else if (entry.kind == "policy") {
    const std::uint64_t serial = uint_member(data, "serial");
    require(serial > policy_serial, "a policy serial that does not rise");
    policy_serial = serial;
    policy_digest = hex_member(data, "digest", kDigestSize);
  } else if (entry.kind == "trust") {
    trust_digest = hex_member(data, "digest", kDigestSize);
  } else if (entry.kind == "recovery") {
    quarantined.insert(text_member(data, "quarantine"));
  }
}

void State::apply_intent(const Entry& entry) {
  const Json& data = entry.data;
  if (entry.kind == "mek-generate") {
    MekHistory mek = mek_of(entry);
    const Bytes id = mek.id;
    require(meks.emplace(id, std::move(mek)).second, "a MEK id that was used before");
  } else if (entry.kind == "seal") {
    const auto found = meks.find(bytes_member(data, "mek_id", kMekIdSize));
    require(found != meks.end(), "a seal under an unknown MEK");
    found->second.encryptions += uint_member(data, "encryptions");
  } else if (entry.kind == "release") {
    const auto found = challenges.find(bytes_member(data, "nonce", kNonceSize));
    if (found != challenges.end()) {  // an unknown nonce is a denial, recorded all the same
      if (!found->second.consumed) found->second.consumed_by = hex_member(data, "report_sha256", kDigestSize);
      found->second.consumed = true;
    }
  }
  open.push_back({entry.seq, entry.kind, entry.txn, data});
}

void State::apply_result(const Entry& entry) {
  const auto found =
      std::find_if(open.begin(), open.end(), [&](const OpenIntent& i) { return i.seq == *entry.intent; });
  require(found != open.end() && found->kind == entry.kind && found->txn == entry.txn,
          "a result without its intent");
  if (entry.kind == "mek-generate") {
    MekHistory& mek = meks.at(bytes_member(found->data, "mek_id", kMekIdSize));
    mek.state = entry.outcome;
  } else if (entry.kind == "release" && entry.outcome == "ok") {
    const auto mek = meks.find(bytes_member(found->data, "mek_id", kMekIdSize));
    require(mek != meks.end(), "a release of an unknown MEK");
    ++mek->second.releases;
    ++card_releases[from_hex(text_member(entry.data, "ueid"))];
  }
  open.erase(found);
}

}  // namespace qpcseal::audit
