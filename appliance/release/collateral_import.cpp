// Bringing a bundle into force.
#include <algorithm>

#include "appliance/audit/findings.h"
#include "appliance/release/collateral.h"
#include "attest/certpath.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::release {

namespace {

using audit::Json;

void check_serial(const Collateral& bundle, const audit::State& state) {
  if (bundle.serial <= state.collateral_serial)
    throw Error(ErrorKind::Denied, "the bundle's serial is " + std::to_string(bundle.serial) +
                                       ", and must be above " + std::to_string(state.collateral_serial));
}

void check_fresh(const Collateral& bundle, UnixTime now) {
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

// Than what the log has seen, and than what is in force, whether a release has seen it or not. A list in the
// folder that cannot be used never counted, and must not keep out the bundle that takes the folder's place.
attest::CrlNumbers least_numbers(const Appliance& appliance) {
  attest::CrlNumbers out = appliance.log().state().crl_numbers;
  for (const TrustFile& crl : appliance.trust().crls) {
    try {
      attest::raise(out, attest::read_crl(crl.der));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Malformed) throw;
    }
  }
  return out;
}

// An older list would bring revoked certificates back. That officers signed such a bundle is worth an entry.
void refuse_older_lists(Appliance& appliance, const Collateral& bundle, const Json& intent) {
  const Findings old = attest::check_crl_floors(bundle.crls, least_numbers(appliance));
  if (old.empty()) return;
  const audit::Txn txn = appliance.log().intent("trust", intent);
  appliance.log().result(txn, "denied", {{"findings", audit::findings_as<Json>(old)}});
  throw Error(ErrorKind::Denied, "the bundle holds a revocation list that is older than one seen before", "",
              old);
}

}  // namespace

Installed import_collateral(Appliance& appliance, const std::filesystem::path& file,
                            const std::vector<std::filesystem::path>& paths) {
  const std::string text = read_text_file(file, kMaxCollateral);
  const Collateral bundle = parse_collateral(text);
  const audit::State& state = appliance.log().state();
  check_serial(bundle, state);
  check_fresh(bundle, appliance.now());
  const auto approvers = check_signed_file(appliance, {"trust-import", kTrustNamespace, text}, paths);
  const std::string digest = to_hex(sha256(view(text)));
  Json intent{{"digest", digest},
              {"serial", bundle.serial},
              {"not_before", static_cast<std::uint64_t>(bundle.not_before)},
              {"not_after", static_cast<std::uint64_t>(bundle.not_after)},
              {"crls", numbers_of(bundle.crls)},
              {"approvers", json_of(approvers)}};
  refuse_older_lists(appliance, bundle, intent);
  replace_pinned(appliance, "trust", std::move(intent), text);
  return {digest, bundle.serial, approvers};
}

}  // namespace qpcseal::release
