// Bringing a bundle into force.
#include <algorithm>

#include "appliance/release/collateral.h"
#include "attest/certpath.h"
#include "base/error.h"

namespace qpcseal::release {

namespace {

using audit::Json;

constexpr std::string_view kNamespace = "collateral@qpcseal";

// Big-endian without leading zeros: the longer number is the higher.
bool lower(const Bytes& a, const Bytes& b) { return a.size() != b.size() ? a.size() < b.size() : a < b; }

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

// An older list would bring revoked certificates back.
Json check_crls(const Collateral& bundle, const audit::State& state) {
  Json out = Json::array();
  for (const Bytes& der : bundle.crls) {
    const attest::CrlInfo crl = attest::read_crl(der);
    const auto seen = state.crl_numbers.find(crl.issuer);
    if (seen != state.crl_numbers.end() && lower(crl.number, seen->second))
      throw Error(ErrorKind::Denied, "the revocation list of " + crl.issuer_text + " has crlNumber 0x" +
                                         to_hex(crl.number) + ", and 0x" + to_hex(seen->second) +
                                         " was seen before");
    out.push_back({{"issuer", to_hex(crl.issuer)}, {"number", to_hex(crl.number)}});
  }
  return out;
}

}  // namespace

Installed import_collateral(Appliance& appliance, const std::filesystem::path& file,
                            const std::vector<std::filesystem::path>& paths) {
  const std::string text = read_text_file(file, kMaxCollateral);
  const Collateral bundle = parse_collateral(text);
  const audit::State& state = appliance.log().state();
  check_serial(bundle, state);
  check_fresh(bundle, appliance.now());
  Json crls = check_crls(bundle, state);
  const auto approvers = check_signed_file(appliance, {"trust-import", kNamespace, text}, paths);
  const std::string digest = to_hex(sha256(view(text)));
  replace_pinned(appliance, "trust",
                 {{"digest", digest},
                  {"serial", bundle.serial},
                  {"not_before", static_cast<std::uint64_t>(bundle.not_before)},
                  {"not_after", static_cast<std::uint64_t>(bundle.not_after)},
                  {"crls", std::move(crls)},
                  {"approvers", json_of(approvers)}},
                 text);
  return {digest, bundle.serial, approvers};
}

}  // namespace qpcseal::release
