// SPDX-License-Identifier: Apache-2.0
#include "appliance/release/verdict_record.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "encoding/json_findings.h"

namespace qpcseal::release {

namespace {

using encoding::Json;

constexpr std::array<std::pair<keys::PeerType, const char*>, 3> kPeers = {
    {{keys::PeerType::P256, "p256"}, {keys::PeerType::P384, "p384"}, {keys::PeerType::Rsa, "rsa"}}};

Json suites_json(const std::vector<keys::SuiteAbility>& suites) {
  Json out = Json::array();
  for (const keys::SuiteAbility& ability : suites) {
    const auto peer = std::ranges::find(kPeers, ability.type, &std::pair<keys::PeerType, const char*>::first);
    out.push_back({{"suite", static_cast<unsigned>(ability.suite)}, {"peer", peer->second}});
  }
  return out;
}

std::vector<keys::SuiteAbility> suites_of(const Json& list) {
  std::vector<keys::SuiteAbility> out;
  for (const Json& one : list) {
    const auto suite = keys::suite_from(static_cast<unsigned>(encoding::uint_member(one, "suite")));
    const std::string& name = encoding::text_member(one, "peer");
    const auto peer = std::ranges::find_if(kPeers, [&](const auto& known) { return name == known.second; });
    if (!suite || peer == kPeers.end()) throw Error(ErrorKind::Malformed, "judged: an unknown suite");
    out.push_back({*suite, peer->first});
  }
  return out;
}

Json floors_json(const std::vector<policy::SvnFloor>& floors) {
  Json out = Json::array();
  for (const policy::SvnFloor& floor : floors)
    out.push_back({{"scheme", floor.scheme},
                   {"hwmodel", to_hex(floor.hwmodel)},
                   {"name", floor.name},
                   {"svn", floor.svn}});
  return out;
}

// Those that can count for a card of this model.
Json floors_json(const audit::State& state, const attest::Claims& claims) {
  std::vector<policy::SvnFloor> out;
  for (const auto& [subject, svn] : state.svn_floors)
    if (subject.hwmodel == claims.hwmodel.value_or(Bytes{}))
      out.push_back({subject.scheme, subject.hwmodel, subject.name, svn});
  return floors_json(out);
}

// In AR4SI's names.
Json trust_json(const policy::TrustVector& trust) {
  Json out = Json::object();
  for (const auto& [name, value] : trust.claims()) out[name] = static_cast<std::uint64_t>(value);
  return out;
}

// An entry has a limit, and what a report makes of itself has none: each text is cut, and so is the list.
constexpr std::size_t kMaxText = 512, kMaxFindings = 32768;  // bytes

std::string cut(const std::string& text) {
  if (text.size() <= kMaxText) return text;
  std::size_t end = kMaxText;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;  // within a character
  return text.substr(0, end) + "...";
}

// `out` with as many of the findings as fit, the first ones first.
Json with_findings(Json out, Findings findings) {
  std::size_t size = 0, kept = 0;
  for (Finding& finding : findings) {
    finding = {finding.id, cut(finding.claim), cut(finding.observed), cut(finding.expected),
               cut(finding.rule)};
    size += encoding::canonical(encoding::findings_as<Json>({finding})).size();
    if (size > kMaxFindings) break;
    ++kept;
  }
  if (kept < findings.size()) out["findings_left_out"] = findings.size() - kept;
  findings.resize(kept);
  out["findings"] = encoding::findings_as<Json>(findings);
  return out;
}

void put_floors(audit::State& state, const Json& list) {
  for (const Json& one : list)
    state.svn_floors[{encoding::text_member(one, "scheme"), from_hex(encoding::text_member(one, "hwmodel")),
                      encoding::text_member(one, "name")}] = encoding::uint_member(one, "svn");
}

Json crls_json(const attest::CrlNumbers& numbers) {
  Json out = Json::array();
  for (const auto& [issuer, number] : numbers)
    out.push_back({{"issuer", to_hex(issuer)}, {"number", to_hex(number)}});
  return out;
}

// What the log knew of the challenge, as the verdict found it.
void put_challenge(audit::State& state, const audit::Entry& challenge, bool consumed) {
  const Json& data = challenge.data;
  audit::Challenge out;
  out.nonce = from_hex(encoding::text_member(data, "nonce"));
  out.mek_id = from_hex(encoding::text_member(data, "mek_id"));
  if (!encoding::member(data, "ueid").is_null()) out.ueid = from_hex(encoding::text_member(data, "ueid"));
  out.made = challenge.time;
  out.expires = static_cast<UnixTime>(encoding::uint_member(data, "expires"));
  out.consumed = consumed;
  const Bytes nonce = out.nonce;
  state.challenges.emplace(nonce, std::move(out));
}

}  // namespace

bool is_unverified(const audit::Entry& entry) {
  return entry.kind == "denied" && entry.phase == audit::Phase::Event;
}

bool is_verdict(const audit::Entry& entry) {
  const bool judged = entry.kind == "release" && entry.phase == audit::Phase::Result &&
                      (entry.outcome == "ok" || entry.outcome == "denied");
  return judged || is_unverified(entry);
}

namespace {

// Whom the site let verify in our stead.
Json with_verifier(Json out, const Verified& verified) {
  if (!verified.evidence.verifier) return out;
  const attest::ExternalVerifier& by = *verified.evidence.verifier;
  out["verifier"] = {{"program_sha256", by.program_sha256}};
  if (!by.name.empty())
    out["verifier"].update({{"name", by.name}, {"version", by.version}, {"chain", by.chain}});
  return out;
}

}  // namespace

Json granted_facts(const Verified& verified, const Verdict& verdict) {
  const attest::Claims& claims = verified.evidence.claims.value();
  const attest::SessionKey& key = claims.session_key.value();
  Json out{{"nonce", to_hex(claims.nonce)},
           {"ueid", to_hex(claims.ueid)},
           {"device_class", verdict.decision.device_class()},
           {"trust_vector", trust_json(verdict.decision.trust())},
           {"svn_floors", floors_json(verdict.decision.svn_minimums())},
           {"crls", crls_json(verified.evidence.crls)},
           {"session_key", {{"type", attest::to_string(key.type)}, {"sha256", sha256_hex(key.public_key)}}},
           {"suite", verdict.suite ? keys::to_string(*verdict.suite) : policy::kVendorFormat}};
  return with_verifier(std::move(out), verified);
}

Json denied_facts(const Verified& verified, const Verdict& verdict) {
  Json out{{"ueid", to_hex(verified.evidence.claims.value().ueid)},
           {"trust_vector", trust_json(verdict.decision.trust())}};
  return with_findings(with_verifier(std::move(out), verified), verdict.decision.findings());
}

Json unverified_facts(const Verified& verified) {
  Json out{{"trust_vector", trust_json(policy::appraise(verified.evidence.findings, false))}};
  return with_findings(with_verifier(std::move(out), verified), verified.evidence.findings);
}

Json refused_facts(const Verified& verified, const Findings& obstacle) {
  const attest::Claims& claims = verified.evidence.claims.value();
  return with_findings(
      with_verifier({{"nonce", to_hex(claims.nonce)}, {"ueid", to_hex(claims.ueid)}}, verified), obstacle);
}

Json make_verdict_record(UnixTime verified_at, const trust::Trust& trust) {
  return {{"verified_at", static_cast<std::uint64_t>(verified_at)},
          {"trust", to_hex(trust.digest)},
          {"crl_floors", crls_json(trust.crl_floors)}};
}

Json make_verdict_record(const VerdictInputs& inputs, const policy::ChallengeFacts& challenge,
                         const attest::Claims& claims, Json verified) {
  const audit::State& state = inputs.state;
  const auto mek = state.meks.find(inputs.mek_id.value_or(challenge.mek_id));
  Json out = std::move(verified);
  out["time"] = static_cast<std::uint64_t>(inputs.now);
  out["known"] = challenge.known;
  out["consumed"] = challenge.consumed;
  out["wanted"] = inputs.releases_wanted;
  out["releases"] = mek == state.meks.end() ? 0 : inputs.releases(mek->first);
  out["encryptions"] = mek == state.meks.end() ? 0 : mek->second.encryptions;
  out["card_releases"] = inputs.card_releases(claims.ueid);
  out["suites"] = suites_json(inputs.suites);
  out["svn_floors"] = floors_json(state, claims);
  if (inputs.format != policy::kOwnFormat) out["format"] = inputs.format;
  return out;
}

UnixTime recorded_time(const Json& judged) {
  return static_cast<UnixTime>(encoding::uint_member(judged, "verified_at"));
}

attest::CrlNumbers recorded_crl_floors(const Json& judged) {
  attest::CrlNumbers out;
  for (const Json& one : encoding::member(judged, "crl_floors"))
    out[from_hex(encoding::text_member(one, "issuer"))] = from_hex(encoding::text_member(one, "number"));
  return out;
}

RecordedInputs parse_recorded_inputs(const Json& judged, const audit::Entry& genesis,
                                     const audit::Entry* challenge, const Json& intent) {
  RecordedInputs out;
  out.now = static_cast<UnixTime>(encoding::uint_member(judged, "time"));
  out.suites = suites_of(encoding::member(judged, "suites"));
  out.wanted = encoding::uint_member(judged, "wanted");
  if (judged.contains("format")) out.format = encoding::text_member(judged, "format");
  out.state.genesis = genesis.data;
  if (challenge != nullptr) put_challenge(out.state, *challenge, encoding::bool_member(judged, "consumed"));
  audit::MekHistory mek;
  mek.id = from_hex(encoding::text_member(intent, "mek_id"));
  mek.label = encoding::text_member(intent, "mek");
  mek.releases = encoding::uint_member(judged, "releases");
  mek.encryptions = encoding::uint_member(judged, "encryptions");
  out.state.card_releases[from_hex(encoding::text_member(intent, "ueid"))] =
      encoding::uint_member(judged, "card_releases");
  put_floors(out.state, encoding::member(judged, "svn_floors"));
  const Bytes id = mek.id;
  out.state.meks.emplace(id, std::move(mek));
  return out;
}

}  // namespace qpcseal::release
