// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/in_force.h"

#include <filesystem>

#include "appliance/trust/collateral_bundle.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::site {

namespace {

constexpr const char* kPutBack =
    "move the file that is damaged or changed away: 'qpcseal mek list' puts back its copy in approvals/";

trust::Trust trust_in_folder(const Home& home) {
  try {
    return trust::read_trust(home.trust());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed) throw;
    throw error.with_hint(kPutBack);
  }
}

}  // namespace

void expect_same(const std::string& what, const std::string& found, const std::string& logged) {
  if (found != logged)
    throw Error(ErrorKind::Denied,
                what + " is not the one in the log: found " + found + ", logged " + logged);
}

policy::Policy read_policy(const Home& home, const audit::State& state) {
  const Bytes bytes = read_file(home.policy(), policy::kMaxPolicySize);
  const std::string digest = sha256_hex(bytes);
  if (digest != state.policy_digest)
    throw Error(ErrorKind::Denied,
                home.policy().string() + " is not the policy in the log: found " + digest + ", logged " +
                    state.policy_digest,
                std::string(kPutBack) + "; a new policy comes in by 'qpcseal policy install'");
  return policy::parse_policy(text_view(bytes));
}

// What the log does not name counts for nothing, and is refused lest somebody think that it counts.
trust::Trust read_pinned_trust(const Home& home, const audit::State& state) {
  const bool bundled = state.collateral_serial > 0;
  trust::Trust trust = trust_in_folder(home);
  expect_same("the trust folder", to_hex(trust.digest), encoding::text_member(state.genesis, "trust"));
  if (!bundled && std::filesystem::exists(home.collateral()))
    throw Error(ErrorKind::Denied,
                home.collateral().string() + " is there, and the log has no collateral bundle",
                "a bundle comes in by 'qpcseal trust import'");
  if (bundled) trust = trust::read_collateral_trust(home.collateral(), state.trust_digest);
  trust.crl_floors = state.crl_numbers;
  return trust;
}

}  // namespace qpcseal::site
