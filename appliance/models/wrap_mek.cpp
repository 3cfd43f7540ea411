// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/wrap_mek.h"

#include "attest/scheme.h"
#include "base/error.h"
#include "base/temporary.h"

namespace qpcseal::release {

namespace {

using audit::Json;

std::vector<std::string> folders_of(const std::vector<CardName>& cards) {
  if (cards.size() == 1) return {kHere};
  return folder_names(cards);
}

// The folders that the reports will get if all of them pass, from what they merely say: only to find outputs
// that are there before any challenge is used up. Nothing where one says nothing.
std::vector<std::string> expected_folders(const audit::State& state, const std::vector<Report>& reports) {
  std::vector<CardName> cards;
  for (const Report& report : reports) {
    const auto claims = unverified_claims(report);
    if (!claims) return {};
    CardName card{{}, {}, claims->ueid};
    if (const auto found = state.challenges.find(claims->nonce); found != state.challenges.end()) {
      card.host = found->second.host;
      card.device = found->second.device;
    }
    cards.push_back(std::move(card));
  }
  return folders_of(cards);
}

std::vector<WrappedFor> cards_of(const std::vector<Grant>& grants) {
  std::vector<CardName> names;
  for (const Grant& grant : grants) names.push_back({grant.host, grant.device, grant.claims.ueid});
  const auto folders = folders_of(names);
  std::vector<WrappedFor> out;
  for (std::size_t i = 0; i < grants.size(); ++i) out.push_back(wrapped_for(grants[i], folders[i]));
  return out;
}

}  // namespace

std::optional<attest::Claims> unverified_claims(const Report& report) {
  for (const auto& scheme : attest::all_schemes())
    if (auto evidence = scheme->inspect(report.bytes); evidence.claims) return evidence.claims;
  return std::nullopt;
}

WrappedFor wrapped_for(const Grant& grant, const std::string& folder) {
  return {folder,
          grant.host,
          grant.device,
          grant.claims.ueid,
          std::string(keys::name_of(grant.wrapped.suite)),
          grant.report_digest,
          grant.entry,
          grant.slots()};
}

Rewrapped wrap_to_files(Appliance& appliance, const keys::Mek& mek, const RewrapWish& wish) {
  const std::vector<std::string> folders = expected_folders(appliance.log().state(), wish.reports);
  // What a killed run left goes away even where this one is refused.
  for (const std::string& folder : folders) remove_leftovers(wish.output_folder / folder);
  if (wish.existing == Existing::Refuse) refuse_existing(wish.output_folder, folders);
  OutputSet outputs(wish.existing);
  outputs.folder(wish.output_folder);
  require_writable_folder(wish.output_folder);
  const ReleaseApproval approval(appliance, mek, digests_of(wish.reports));
  Transaction release(appliance, mek, wish.reports, approval, Transaction::Mode::AllOrNone);
  const std::vector<WrappedFor> cards = cards_of(release.wrap());
  write_wrapped(outputs, wish.output_folder, mek, cards);
  outputs.sync();
  Rewrapped done;
  std::vector<Json> acts;
  for (const WrappedFor& card : cards) {
    done.folders.push_back(card.folder);
    acts.push_back({{"wrapped_to", card.folder}});
  }
  release.commit(std::move(acts));
  publish(outputs);
  done.grants = release.grants();
  return done;
}

}  // namespace qpcseal::release
