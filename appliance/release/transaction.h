// SPDX-License-Identifier: Apache-2.0
// The one path on which a MEK leaves the token: verify -> consume the challenges -> decide -> wrap -> deliver
// -> result.
//
//   Transaction release(appliance, mek, reports, approval, Transaction::Mode::AllOrNone);
//   const std::vector<Grant>& grants = release.wrap();  // the log has a `wrapped` entry for each
//   ... write the wrapped keys, complete and on disk ...
//   release.commit(what was done with each);            // the log has the results
//   ... give the outputs their names ...
//
// A release counts from its intent. A Transaction that is destroyed before commit() leaves its intents open,
// as a kill does. The same command goes on with them and with the same wrapped MEKs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "appliance/release/approval.h"
#include "appliance/release/candidate.h"
#include "appliance/release/grant.h"
#include "appliance/site/appliance.h"
#include "appliance/site/pending_wraps.h"
#include "base/file_set.h"

namespace qpcseal::release {

class Transaction {
 public:
  enum class Mode {
    AllOrNone,  // one report that does not pass denies all
    Each,       // each report for itself
  };

  // Verifies the reports, uses up their challenges (intents), and decides. `reports` must outlive the
  // transaction. Reports that use no challenge up: one that does not verify (logged as "denied"), and those
  // that are logged as "refused": one that answers a used challenge, another MEK's or another card's, one
  // whose release was begun in another format, two of one card or challenge. AllOrNone: Error{Denied} with
  // all findings, Error{Usage} for two reports of one card or challenge. Format "vendor": the key is to be
  // exposed (exposure.h), and wrap() is not for it. `hindrance`, for Each alone, says of a report that would
  // use its challenge up what is in its way, such as an output; "" where nothing is. That is its fault then,
  // and its challenge stays unused.
  using Hindrance = std::function<std::string(const ReleaseItem&)>;
  Transaction(site::Appliance& appliance, const keys::Mek& mek, const std::vector<Report>& reports,
              const ReleaseApproval& approval, Mode mode, std::string_view format = policy::kOwnFormat,
              const Hindrance& hindrance = {});
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // Whether all reports would pass now. Uses nothing up; ends releases that are over, as the constructor
  // does.
  [[nodiscard]] static bool would_pass(site::Appliance& appliance, const keys::Mek& mek,
                                       const std::vector<Report>& reports);

  // Wraps the MEK for every report that passed, or takes what a run that was cut short had wrapped. When it
  // returns, the log has a `wrapped` entry for each: from here on the outcome is "ok" or "unknown". Grants
  // are in the reports' order. Each: a report whose wrap fails gets a fault, and its release stays open.
  const std::vector<Grant>& wrap();

  // Appends the results. `acts` says what was done with each grant, one object a grant; `more` comes behind.
  void commit(std::vector<encoding::Json> acts, std::vector<audit::Outcome> more = {});

  // For Exposure, in place of wrap(): the `wrapped` entries that name the cards to which the tool releases
  // the MEK; the entry numbers of the results; and the outcomes where the tool failed.
  void prepare_exposed(const encoding::Json& exposed, std::vector<audit::Txn>& txns,
                       std::vector<encoding::Json>& data);
  void reserve_entries();
  void add_unknown(const std::string& why, std::vector<audit::Outcome>& outcomes) const;

  [[nodiscard]] const std::vector<Grant>& grants() const { return grants_; }
  // In the reports' order: findings() and fault say why one has no grant.
  [[nodiscard]] const std::vector<ReleaseItem>& candidates() const { return candidates_; }

 private:
  void begin(const ReleaseApproval& approval, const Hindrance& hindrance);

  site::Appliance& appliance_;
  const keys::Mek& mek_;
  Mode mode_;
  std::string format_;
  std::vector<ReleaseItem> candidates_;
  std::vector<ReleaseItem*> allowed_;  // once wrapped: those that have a grant
  site::PendingWraps pending_;
  std::vector<Grant> grants_;  // as allowed_
};

std::vector<Sha256Digest> digests_of(const std::vector<Report>& reports);
// Gives the outputs of a committed release their names. Error{DoneWithFault}.
void publish(OutputSet& outputs);

}  // namespace qpcseal::release
