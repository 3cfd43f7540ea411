// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/known_releases.h"

#include <algorithm>
#include <cstdlib>

#include "appliance/audit/read.h"
#include "appliance/site/appliance.h"
#include "base/error.h"

namespace qpcseal::models {

namespace {

// Nothing: the user has no place where a home could be.
std::optional<site::Home> try_home() {
  try {
    return site::locate_home();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Usage) return std::nullopt;
    throw;
  }
}

bool is_among(const std::vector<Bytes>& ueids, const Bytes& ueid) {
  return std::find(ueids.begin(), ueids.end(), ueid) != ueids.end();
}

bool is_revoked(const policy::Policy& policy, const Bytes& ueid) {
  return std::any_of(policy.devices.begin(), policy.devices.end(), [&](const policy::DeviceClass& device) {
    return is_among(device.revoked_ueids.value, ueid);
  });
}

}  // namespace

std::optional<KnownReleases> KnownReleases::find() {
  const bool named = std::getenv("QPCSEAL_HOME") != nullptr;  // NOLINT(concurrency-mt-unsafe): no threads yet
  const auto home = try_home();
  if (!home || !std::filesystem::exists(home->log())) {
    if (named) throw Error(ErrorKind::Io, "QPCSEAL_HOME names no home: it has no log");
    return std::nullopt;
  }
  site::check_ownership(*home);
  audit::State state = audit::read_log(home->log(), std::nullopt).state;
  policy::Policy policy = site::read_policy(*home, state);
  trust::Trust trust = site::read_pinned_trust(*home, state);
  return KnownReleases(std::move(state), std::move(policy), std::move(trust.collateral));
}

void KnownReleases::require(const WrappedSet& wrapped) const {
  const auto refuse = [](const WrappedFor& card, const std::string& why) {
    throw Error(ErrorKind::Denied, card.dir + ": " + why,
                "release it anew: 'qpcseal attest request', then 'wrap-mek'");
  };
  for (const WrappedFor& card : wrapped.cards) {
    const auto release = state_.releases.find(sha256_hex(card.slots.encrypt));
    if (release == state_.releases.end() || release->second.mek_id != wrapped.mek_id ||
        release->second.nonce != card.slots.nonce || release->second.pub_sha256 != sha256_hex(card.slots.pub))
      refuse(card, "no release in this appliance's log made this wrapped MEK");
    if (is_revoked(policy_, release->second.ueid))
      refuse(card, "the policy revoked card " + to_hex(release->second.ueid));
    if (is_among(collateral_.revoked_ueids, release->second.ueid))
      refuse(card, "the collateral bundle revoked card " + to_hex(release->second.ueid));
    const auto mek = state_.meks.find(wrapped.mek_id);
    if (mek == state_.meks.end() || mek->second.state != "ok")
      refuse(card, "its MEK may not be used: its state is '" +
                       (mek == state_.meks.end() ? "unknown" : mek->second.state) + "'");
  }
}

}  // namespace qpcseal::models
