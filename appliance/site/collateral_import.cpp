// SPDX-License-Identifier: Apache-2.0
// Bringing a bundle into force.
#include <algorithm>

#include "appliance/site/archive.h"
#include "appliance/site/pinned_files.h"
#include "appliance/trust/collateral_bundle.h"
#include "attest/certpath.h"
#include "attest/crl_signer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text_file.h"
#include "encoding/json_findings.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

void check_serial(const trust::Collateral& bundle, const audit::State& state) {
  if (bundle.serial <= state.collateral_serial)
    throw Error(ErrorKind::Denied, "the bundle's serial is " + std::to_string(bundle.serial) +
                                       ", and must be above " + std::to_string(state.collateral_serial));
}

void check_fresh(const trust::Collateral& bundle, UnixTime now) {
  if (now < bundle.not_before || now >= bundle.not_after)
    throw Error(ErrorKind::Denied, "the bundle is fresh from " + format_time(bundle.not_before) + " to " +
                                       format_time(bundle.not_after) + ", now it is " + format_time(now));
}

Json numbers_of(const std::vector<Bytes>& crls) {
  Json out = Json::array();
  for (const attest::CrlInfo& crl : attest::newest(crls)) {
    out.push_back({{"issuer", to_hex(crl.issuer)}, {"number", to_hex(crl.number)}});
  }
  return out;
}

// Nothing for a list in the folder that cannot be used: it never counted, and must not keep out the bundle
// that takes the folder's place.
std::optional<attest::CrlInfo> usable(const trust::TrustFile& crl) {
  try {
    return attest::read_crl(crl.der);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed) throw;
    return std::nullopt;
  }
}

// Than what the log has seen, and than what is in force, whether a release has seen it or not.
attest::CrlNumbers least_numbers(const Appliance& appliance) {
  attest::CrlNumbers out = appliance.log().state().crl_numbers;
  for (const trust::TrustFile& crl : appliance.trust().crls)
    if (const auto info = usable(crl)) attest::raise(out, *info);
  return out;
}

// An older list would bring revoked certificates back. That officers signed such a bundle is worth an entry.
void refuse_older_lists(Appliance& appliance, const trust::Collateral& bundle, const Json& intent) {
  const Findings old = attest::check_crl_floors(bundle.crls, least_numbers(appliance));
  if (old.empty()) return;
  const audit::Txn txn = appliance.log().intent("trust", intent);
  appliance.log().result(txn, "denied", {{"findings", encoding::findings_as<Json>(old)}});
  throw Error(ErrorKind::Denied, "the bundle holds a revocation list that is older than one seen before", "",
              old);
}

// Whether a card, or an issuer's list, that counts as revoked now would not any more.
bool takes_back_revocations(const trust::Trust& now, const trust::Collateral& next) {
  const auto& revoked = next.revoked_ueids;
  const bool card = std::ranges::any_of(now.collateral.revoked_ueids, [&](const Bytes& ueid) {
    return std::ranges::find(revoked, ueid) == revoked.end();
  });
  const std::vector<attest::CrlInfo> lists = attest::newest(next.crls);
  const auto is_left_out = [&](const trust::TrustFile& crl) {
    const auto info = usable(crl);
    return info && std::ranges::none_of(lists, [&](const auto& list) { return list.issuer == info->issuer; });
  };
  return card || std::ranges::any_of(now.crls, is_left_out);
}

// Whether a list of the bundle, which none in force equals, may be anybody's: no root has its issuer's name.
bool brings_unproved_lists(const trust::Trust& now, const trust::Collateral& next) {
  return std::ranges::any_of(next.crls, [&](const Bytes& der) {
    return std::ranges::find(now.crls, der, &trust::TrustFile::der) == now.crls.end() &&
           attest::signer_of(der, next.roots) == attest::CrlSigner::Unknown;
  });
}

// Taking a revocation back lets a key go where it could not go before. The number of a list counts for good,
// and a false one would keep out its issuer's own lists. Either takes as many as any act.
int officers_for(const Outlook& outlook, const trust::Trust& trust, const trust::Collateral& bundle) {
  const bool all = takes_back_revocations(trust, bundle) || brings_unproved_lists(trust, bundle);
  return all ? outlook.policy.greatest_threshold() : 1;
}

}  // namespace

NextBundle check_next_bundle(const Outlook& outlook, const trust::Trust& trust,
                             const std::filesystem::path& file) {
  NextBundle out{read_plain_text(file, trust::kMaxCollateral), {}, {}};
  out.bundle = trust::parse_collateral(out.text);
  with_context("collateral bundle", [&] { attest::refuse_forged(out.bundle.crls, out.bundle.roots); });
  check_serial(out.bundle, outlook.state);
  check_fresh(out.bundle, outlook.now());
  out.signers = check_signers(
      outlook, {"trust-import", kTrustNamespace, out.text, officers_for(outlook, trust, out.bundle)});
  return out;
}

Installed import_collateral(Appliance& appliance, const std::filesystem::path& file) {
  const NextBundle next = check_next_bundle(appliance.outlook(), appliance.trust(), file);
  const auto& [text, bundle, signers] = next;
  archive_approval(appliance.home(), text, ".signed", signers.signatures);
  const std::string digest = sha256_hex(text);
  Json intent{{"digest", digest},
              {"serial", bundle.serial},
              {"not_before", static_cast<std::uint64_t>(bundle.not_before)},
              {"not_after", static_cast<std::uint64_t>(bundle.not_after)},
              {"crls", numbers_of(bundle.crls)},
              {"approvers", approval::as_json(signers.approvers)}};
  refuse_older_lists(appliance, bundle, intent);
  replace_pinned(appliance, "trust", std::move(intent), text);
  return {digest, bundle.serial, signers.approvers};
}

}  // namespace qpcseal::site
