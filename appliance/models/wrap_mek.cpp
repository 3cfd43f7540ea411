// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/wrap_mek.h"

#include "attest/scheme.h"
#include "base/error.h"
#include "base/temporary.h"

namespace qpcseal::models {

namespace {

using encoding::Json;

std::vector<std::string> folders_of(const std::vector<CardName>& cards) {
  if (cards.size() == 1) return {kHere};
  return folder_names(cards);
}

// The folders that the reports will get if all of them pass, from what they merely say: only to find outputs
// that are there before any challenge is used up. Nothing where one says nothing.
std::vector<std::string> expected_folders(const audit::State& state,
                                          const std::vector<release::Report>& reports) {
  std::vector<CardName> cards;
  for (const release::Report& report : reports) {
    const auto claims = unverified_claims(report);
    if (!claims) return {};
    cards.push_back(card_name(state, *claims));
  }
  return folders_of(cards);
}

std::vector<WrappedFor> cards_of(const std::vector<release::Grant>& grants) {
  std::vector<CardName> names;
  for (const release::Grant& grant : grants) names.push_back({grant.host, grant.device, grant.claims.ueid});
  const auto folders = folders_of(names);
  std::vector<WrappedFor> out;
  for (std::size_t i = 0; i < grants.size(); ++i) out.push_back(wrapped_for(grants[i], folders[i]));
  return out;
}

}  // namespace

std::optional<attest::Claims> unverified_claims(const release::Report& report) {
  for (const auto& scheme : attest::all_schemes())
    if (auto evidence = scheme->inspect(report.bytes); evidence.claims) return evidence.claims;
  return std::nullopt;
}

CardName card_name(const audit::State& state, const attest::Claims& claims) {
  const auto found = state.challenges.find(claims.nonce);
  if (found == state.challenges.end()) return {{}, {}, claims.ueid};
  return {found->second.host, found->second.device, claims.ueid};
}

WrappedFor wrapped_for(const release::Grant& grant, const std::string& dir) {
  return {dir,
          grant.host,
          grant.device,
          grant.claims.ueid,
          std::string(keys::to_string(grant.wrapped.suite)),
          grant.report_digest,
          grant.entry,
          grant.slots()};
}

WrapResult wrap_to_files(site::Appliance& appliance, const keys::Mek& mek, const WrapMekOptions& options) {
  const std::vector<std::string> folders = expected_folders(appliance.log().state(), options.reports);
  // What a killed run left goes away even where this one is refused.
  for (const std::string& dir : folders) remove_leftovers(options.output_folder / dir);
  if (options.existing == Existing::Refuse) refuse_existing(options.output_folder, folders);
  OutputSet outputs(options.existing);
  outputs.dir(options.output_folder);
  require_writable_folder(options.output_folder);
  const release::ReleaseApproval approval(appliance, mek, release::digests_of(options.reports));
  release::Transaction release(appliance, mek, options.reports, approval,
                               release::Transaction::Mode::AllOrNone);
  const std::vector<WrappedFor> cards = cards_of(release.wrap());
  write_wrapped(outputs, options.output_folder, mek, cards);
  outputs.sync();
  WrapResult done;
  std::vector<Json> acts;
  for (const WrappedFor& card : cards) {
    done.folders.push_back(card.dir);
    acts.push_back({{"wrapped_to", card.dir}});
  }
  release.commit(std::move(acts));
  release::publish(outputs);
  done.grants = release.grants();
  return done;
}

}  // namespace qpcseal::models
