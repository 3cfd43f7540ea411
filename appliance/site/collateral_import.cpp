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

void check_fresh(const trust::Collateral& bundle, UnixTime now) {
  if (now < bundle.not_before || now >= bundle.not_after)
    throw Error(ErrorKind::Denied, "the bundle is fresh from " + format_time(bundle.not_before) + " to " +
                                       format_time(bundle.not_after) + ", now it is " + format_time(now));
}

// Those of `roots` that a class of devices pins. A bundle's other roots prove nothing: few officers bring
// them in.
std::vector<Bytes> pinned_roots(const policy::Policy& policy, const std::vector<Bytes>& roots) {
  std::vector<Bytes> out;
  for (const Bytes& der : roots) {
    const Sha256Digest digest = sha256(der);
    const auto pins = [&](const policy::DeviceClass& device) {
      return std::ranges::any_of(device.roots.value,
                                 [&](const Bytes& pin) { return std::ranges::equal(pin, digest); });
    };
    if (std::ranges::any_of(policy.devices, pins)) out.push_back(der);
  }
  return out;
}

// Those that a pinned root signed. Their numbers count for good; another's number counts once a card's path
// has proved the list (grant.h), or while it is in force.
std::vector<Bytes> proved_lists(const policy::Policy& policy, const std::vector<Bytes>& roots,
                                const std::vector<Bytes>& crls) {
  const std::vector<Bytes> pinned = pinned_roots(policy, roots);
  std::vector<Bytes> out;
  for (const Bytes& der : crls)
    if (attest::signer_of(der, pinned) == attest::CrlSigner::Root) out.push_back(der);
  return out;
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

// Than what the log has seen, and than proved lists in force, whether a release has seen them or not.
attest::CrlNumbers least_numbers(const Appliance& appliance) {
  std::vector<Bytes> in_force;
  for (const trust::TrustFile& crl : appliance.trust().crls)
    if (usable(crl)) in_force.push_back(crl.der);
  return attest::raised(appliance.log().state().crl_numbers,
                        proved_lists(appliance.policy(), trust::ders(appliance.trust().roots), in_force));
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

// Whether a card that counts as revoked now would not any more, or an issuer's list be gone or be an older
// one.
bool takes_back_revocations(const trust::Trust& now, const trust::Collateral& next) {
  const auto& revoked = next.revoked_ueids;
  const bool card = std::ranges::any_of(now.collateral.revoked_ueids, [&](const Bytes& ueid) {
    return std::ranges::find(revoked, ueid) == revoked.end();
  });
  attest::CrlNumbers in_force;
  for (const trust::TrustFile& crl : now.crls)
    if (const auto info = usable(crl)) attest::raise(in_force, *info);
  const attest::CrlNumbers brought = attest::raised({}, next.crls);
  const auto is_left_out = [&](const auto& list) { return !brought.contains(list.first); };
  return card || std::ranges::any_of(in_force, is_left_out) ||
         !attest::check_crl_floors(next.crls, in_force).empty();
}

// Whether a list of the bundle, which none in force equals, is in the name of a pinned root that did not sign
// it: another root of that name did, which may be anybody's.
bool brings_foreign_lists(const policy::Policy& policy, const trust::Trust& now,
                          const trust::Collateral& next) {
  std::vector<Bytes> roots = trust::ders(now.roots);
  roots.insert(roots.end(), next.roots.begin(), next.roots.end());
  const std::vector<Bytes> pinned = pinned_roots(policy, roots);
  return std::ranges::any_of(next.crls, [&](const Bytes& der) {
    return std::ranges::find(now.crls, der, &trust::TrustFile::der) == now.crls.end() &&
           attest::signer_of(der, pinned) == attest::CrlSigner::Nobody;
  });
}

// Without its root in force a list in that root's name could be anybody's.
bool drops_pinned_roots(const policy::Policy& policy, const trust::Trust& now,
                        const trust::Collateral& next) {
  return std::ranges::any_of(pinned_roots(policy, trust::ders(now.roots)), [&](const Bytes& root) {
    return std::ranges::find(next.roots, root) == next.roots.end();
  });
}

// Taking a revocation back lets a key go where it could not go before; a foreign list keeps out the one that
// would say so. Either takes as many as any act.
int officers_for(const Outlook& outlook, const trust::Trust& trust, const trust::Collateral& bundle) {
  const policy::Policy& policy = outlook.policy;
  const bool all = takes_back_revocations(trust, bundle) || drops_pinned_roots(policy, trust, bundle) ||
                   brings_foreign_lists(policy, trust, bundle);
  return all ? policy.greatest_threshold() : 1;
}

}  // namespace

NextBundle check_next_bundle(const Outlook& outlook, const trust::Trust& trust,
                             const std::filesystem::path& file) {
  NextBundle out{read_plain_text(file, trust::kMaxCollateral), {}, {}};
  out.bundle = trust::parse_collateral(out.text);
  with_context("collateral bundle", [&] {
    attest::refuse_forged(out.bundle.crls, out.bundle.roots);
    check_serial(out.bundle.serial, outlook.state.collateral_serial);
  });
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
              {"crls", numbers_of(proved_lists(appliance.policy(), bundle.roots, bundle.crls))},
              {"approvers", approval::as_json(signers.approvers)}};
  refuse_older_lists(appliance, bundle, intent);
  replace_pinned(appliance, "trust", std::move(intent), text);
  return {digest, bundle.serial, signers.approvers};
}

}  // namespace qpcseal::site
