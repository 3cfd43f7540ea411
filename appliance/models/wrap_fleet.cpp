// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/wrap_fleet.h"

#include <algorithm>
#include <map>

#include "appliance/models/wrap_mek.h"
#include "appliance/models/wrapped_meks.h"
#include "appliance/release/transaction.h"
#include "appliance/site/logged_act.h"
#include "base/error.h"
#include "base/file_batch.h"
#include "base/temporary.h"

namespace qpcseal::models {

namespace {

using encoding::Json;

// A report before its turn: what it says, unverified, and what the log says of it.
struct QueuedReport {
  std::filesystem::path path;
  std::string fault;  // why it is no report at all
  Sha256Digest digest{};
  std::optional<CardName> card;  // nothing: it cannot be read
  Bytes nonce;
  std::string dir;
  std::optional<std::uint64_t> result;  // an earlier run finished it
};

// What the log says of the challenge that its claims answer.
void look_up(const audit::State& state, const attest::Claims& claims, QueuedReport& out) {
  out.nonce = claims.nonce;
  out.card = card_name(state, claims);
  const auto challenge = state.challenges.find(claims.nonce);
  if (challenge != state.challenges.end() && challenge->second.consumed_by == to_hex(out.digest))
    out.result = challenge->second.released_by;
}

QueuedReport preview(const audit::State& state, const std::filesystem::path& path, bool any_form) {
  QueuedReport out;
  out.path = path;
  release::Report report;
  try {
    report = release::read_report(path, any_form);
  } catch (const Error& error) {
    out.fault = error.what();
    return out;
  }
  out.digest = report.digest;
  if (const auto claims = unverified_claims(report)) look_up(state, *claims, out);
  return out;
}

// Those that only a program of the site can read have their names by what it says of them.
void ask_programs(const site::Appliance& appliance, std::vector<QueuedReport>& all) {
  if (!release::names_external(appliance.policy())) return;
  std::vector<release::Report> reports;
  std::vector<QueuedReport*> asked;
  for (QueuedReport& one : all) {
    if (one.card || !one.fault.empty()) continue;
    try {
      reports.push_back(release::read_report(one.path, true));
      one.digest = reports.back().digest;
      asked.push_back(&one);
    } catch (const Error& error) {
      one.fault = error.what();
    }
  }
  const std::vector<release::ReleaseItem> said = release::verify_all(appliance, reports);
  for (std::size_t i = 0; i < said.size(); ++i)
    if (said[i].verifies()) look_up(appliance.log().state(), said[i].claims(), *asked[i]);
}

// By what the log says of the challenges, each of which counts once: a report that merely claims another's
// challenge or card changes no name.
void name_folders(std::vector<QueuedReport>& all) {
  std::vector<CardName> cards;
  std::map<Bytes, std::size_t> by_nonce;
  for (const QueuedReport& one : all)
    if (one.card && by_nonce.emplace(one.nonce, cards.size()).second) cards.push_back(*one.card);
  const std::vector<std::string> names = folder_names(cards);
  for (QueuedReport& one : all) {
    if (!one.card) continue;
    const std::size_t at = by_nonce.at(one.nonce);
    const bool placed = names[at] != folder_names({{{}, {}, cards[at].ueid}}).front();
    one.dir = placed ? names[at] : folder_names({{{}, {}, one.card->ueid}}).front();
  }
}

constexpr const char* kGoOn = "the same command gives the files that wait their names";

class Fleet {
 public:
  Fleet(site::Appliance& appliance, const keys::Mek& mek, const FleetOptions& options)
      : appliance_(appliance), mek_(mek), options_(options) {
    for (const auto& path : options.reports)
      all_.push_back(preview(appliance.log().state(), path, release::names_external(appliance.policy())));
    ask_programs(appliance, all_);
    name_folders(all_);
    for (const QueuedReport& one : all_)
      if (one.card) remove_leftovers_once(options.output_folder / one.dir);
    if (options.existing == Existing::Refuse) refuse_other_output();
    cards_.resize(all_.size());
    for (std::size_t i = 0; i < all_.size(); ++i) classify(i);
    if (!taken_.empty() && todo_.empty() && index_.empty())
      throw Error(ErrorKind::Io, taken_, "name another output, or replace it with --force");
    for (const std::size_t i : todo_) static_cast<void>(first_of_card(i));
    std::ranges::sort(todo_, {}, [&](std::size_t i) { return std::pair(first_of_card(i), i); });
  }

  std::vector<FleetCard> run(const FleetProgress& progress) {
    std::optional<release::ReleaseApproval> approval;
    if (!todo_.empty()) approval = approve();
    make_output_folder(options_.output_folder);
    require_writable_folder(options_.output_folder);
    std::size_t at = 0;
    while (at < todo_.size()) {
      const std::size_t end = end_of_batch(at);
      batch(
          {todo_.begin() + static_cast<std::ptrdiff_t>(at), todo_.begin() + static_cast<std::ptrdiff_t>(end)},
          *approval);
      at = end;
      if (progress) progress(all_.size() - todo_.size() + at, all_.size());
    }
    site::after_result("the releases are done", kGoOn, [&] { write_index(); });
    return std::move(cards_);
  }

 private:
  [[nodiscard]] std::filesystem::path final_dir(const QueuedReport& one) const {
    return options_.output_folder / name_of(one);
  }

  // Where a card's files wait, complete and on disk, until the log has their release's result.
  [[nodiscard]] std::filesystem::path staging_dir(const QueuedReport& one) const {
    return options_.output_folder / ("." + name_of(one) + ".new");
  }

  [[nodiscard]] static const std::string& name_of(const QueuedReport& one) {
    if (one.dir.empty()) throw Error(ErrorKind::Internal, one.path.string() + ": a card without a name");
    return one.dir;
  }

  // What the log says of the wrapped key in these files; what else stands on the medium counts for nothing.
  // Nothing: no release of this MEK made it.
  [[nodiscard]] std::optional<WrappedFor> recorded(WrappedFor card, const std::string& name) const {
    const audit::State& state = appliance_.log().state();
    const auto release = state.releases.find(sha256_hex(card.slots.encrypt));
    const auto head = seal::parse_wrap_head(card.slots.encrypt);
    const auto suite = head ? keys::suite_from(head->suite) : std::nullopt;
    if (release == state.releases.end() || !suite || release->second.mek_id != mek_.id ||
        release->second.nonce != card.slots.nonce || release->second.pub_sha256 != sha256_hex(card.slots.pub))
      return std::nullopt;
    const audit::Challenge& challenge = state.challenges.at(release->second.nonce);
    WrappedFor out{name,
                   challenge.host,
                   challenge.device,
                   release->second.ueid,
                   std::string(keys::to_string(*suite)),
                   {},
                   release->second.seq,
                   std::move(card.slots)};
    std::ranges::copy(from_hex(challenge.consumed_by), out.report_digest.begin());
    return out;
  }

  // The files of the release that served this report, if they are all in `dir`; under `name` from here on.
  [[nodiscard]] std::optional<WrappedFor> files_of(const QueuedReport& one, const std::filesystem::path& dir,
                                                   const std::string& name) const {
    try {
      WrappedSet set = read_wrapped({dir});
      if (set.cards.size() != 1) return std::nullopt;
      auto card = recorded(std::move(set.cards.front()), name);
      return card && card->entry == *one.result ? std::move(card) : std::nullopt;
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  struct Finished {
    WrappedFor files;
    bool was_there = false;  // under its name already
  };

  // What an earlier run did, if it only had to be named; that run may have known other cards, and so have
  // named this one otherwise. Files that are gone are not made again: the challenge is used up, and the
  // report will be denied.
  [[nodiscard]] std::optional<Finished> finish(const QueuedReport& one) const {
    if (!one.result) return std::nullopt;
    for (const std::string& name :
         {one.dir, folder_names({*one.card}).front(), folder_names({{{}, {}, one.card->ueid}}).front()})
      if (auto there = files_of(one, options_.output_folder / name, name))
        return Finished{std::move(*there), true};
    auto waiting = files_of(one, staging_dir(one), one.dir);
    if (!waiting) return std::nullopt;
    publish_folder(staging_dir(one), final_dir(one), options_.existing);
    return Finished{std::move(*waiting), false};
  }

  // A card may have been reset since, and then cannot use what lies in these files.
  [[nodiscard]] std::string why_old(const QueuedReport& one, std::uint64_t entry) {
    const audit::State& state = appliance_.log().state();
    if (latest_.empty())
      for (const auto& [wrapped, release] : state.releases)
        if (release.mek_id == mek_.id) {
          std::uint64_t& latest = latest_[release.ueid];
          latest = std::max(latest, release.seq);
        }
    const std::string served = "it was served before, log entry " + std::to_string(entry);
    const auto later = latest_.find(one.card->ueid);
    if (later != latest_.end() && later->second > entry)
      return served + ", and this card answered a later request since, log entry " +
             std::to_string(later->second);
    const UnixTime expires = state.challenges.at(one.nonce).expires;
    return expires > appliance_.now() ? ""
                                      : served + ", and its challenge expired at " + format_time(expires);
  }

  // One card's files straight in the output folder, or another key's.
  void refuse_other_output() const {
    const auto& output = options_.output_folder;
    if (std::filesystem::exists(output / "MEK.encrypt"))
      throw Error(ErrorKind::Io, output.string() + " holds one card's wrapped MEK", "name another output");
    if (std::filesystem::exists(output / kConfigName) && read_wrapped({output}).mek_id != mek_.id)
      throw Error(ErrorKind::Io, output.string() + " holds wrapped MEKs of another key",
                  "name another output");
  }

  void classify(std::size_t i) {
    const QueuedReport& one = all_[i];
    FleetCard& card = cards_[i];
    card.report = one.path.string();
    card.fault = one.fault;
    if (!one.fault.empty()) return;
    if (one.card) card.ueid = one.card->ueid;
    if (auto done = finish(one)) {
      card.dir = all_[i].dir = done->files.dir;
      card.suite = done->files.suite;
      card.entry = done->files.entry;
      card.earlier = true;
      if (done->was_there) card.old = why_old(one, card.entry);
      index_.push_back(std::move(done->files));
      return;
    }
    if (one.card && is_taken(i)) return;
    todo_.push_back(i);
  }

  // An output that is there and not ours is that card's fault alone: a report may claim any card.
  bool is_taken(std::size_t i) {
    try {
      refuse_taken_folder(final_dir(all_[i]), options_.existing);
      return false;
    } catch (const Error& error) {
      cards_[i].fault = taken_ = error.what();
      return true;
    }
  }

  // Reports that claim one card come into one batch, where a card that answers twice is found.
  [[nodiscard]] std::size_t first_of_card(std::size_t i) {
    if (!all_[i].card) return i;
    return first_of_.emplace(all_[i].card->ueid, i).first->second;
  }
  [[nodiscard]] std::size_t end_of_batch(std::size_t at) {
    std::size_t end = std::min(at + kFleetBatch, todo_.size());
    while (end < todo_.size() && first_of_card(todo_[end]) == first_of_card(todo_[end - 1])) ++end;
    return end;
  }

  // For all reports of the command, those that an earlier run served too: what officers saw and signed.
  [[nodiscard]] release::ReleaseApproval approve() const {
    std::vector<Sha256Digest> digests;
    for (const QueuedReport& one : all_)
      if (one.fault.empty()) digests.push_back(one.digest);
    return {appliance_, mek_, digests};
  }

  // Nothing, and a fault of that card, where the file is another one by now.
  std::optional<release::Report> read_again(std::size_t i) {
    try {
      release::Report report =
          release::read_report(all_[i].path, release::names_external(appliance_.policy()));
      if (report.digest == all_[i].digest) return report;
      cards_[i].fault = all_[i].path.string() + " changed while this run was at work";
    } catch (const Error& error) {
      cards_[i].fault = error.what();
    }
    return std::nullopt;
  }

  void batch(const std::vector<std::size_t>& places, const release::ReleaseApproval& approval) {
    std::vector<release::Report> reports;
    std::vector<std::size_t> index;  // of each report in all_
    for (const std::size_t i : places) {
      auto report = read_again(i);
      if (!report) continue;
      reports.push_back(std::move(*report));
      index.push_back(i);
    }
    release::Transaction release(appliance_, mek_, reports, approval, release::Transaction::Mode::Each);
    std::map<Sha256Digest, std::size_t> by_digest;
    for (std::size_t k = 0; k < index.size(); ++k) {
      by_digest[reports[k].digest] = index[k];
      cards_[index[k]].findings = release.candidates()[k].findings();
    }
    // Before a key is wrapped: a program that read no card in a report when it was asked first has to say so
    // again.
    for (std::size_t k = 0; k < index.size(); ++k)
      if (release.candidates()[k].allowed()) static_cast<void>(name_of(all_[index[k]]));
    const std::vector<release::Grant>& grants = release.wrap();
    for (std::size_t k = 0; k < index.size(); ++k) cards_[index[k]].fault = release.candidates()[k].fault;
    release.commit(write_cards(grants, by_digest));
    site::after_result("the releases are done", kGoOn, [&] { publish(grants, by_digest); });
  }

  void publish(const std::vector<release::Grant>& grants,
               const std::map<Sha256Digest, std::size_t>& by_digest) {
    for (const release::Grant& grant : grants) {
      const std::size_t i = by_digest.at(grant.report_digest);
      cards_[i].dir = all_[i].dir;
      publish_folder(staging_dir(all_[i]), final_dir(all_[i]), options_.existing);
    }
    sync_folder(options_.output_folder);
  }

  std::vector<Json> write_cards(const std::vector<release::Grant>& grants,
                                const std::map<Sha256Digest, std::size_t>& by_digest) {
    FileBatch files;
    std::vector<Json> acts;
    for (const release::Grant& grant : grants) {
      const std::size_t i = by_digest.at(grant.report_digest);
      WrappedFor card = wrapped_for(grant, all_[i].dir);
      const std::filesystem::path dir = staging_dir(all_[i]);
      std::filesystem::remove_all(dir);  // what a run that was cut short left
      files.dir(dir);
      for (const auto& [name, bytes] : card_files(mek_, card)) files.add(dir / name, bytes, Existing::Refuse);
      cards_[i].suite = card.suite;
      cards_[i].entry = card.entry;
      acts.push_back({{"wrapped_to", card.dir}});
      index_.push_back(std::move(card));
    }
    files.commit();
    return acts;
  }

  // Those cards of the output's config.json whose releases the log tells of.
  [[nodiscard]] std::vector<WrappedFor> earlier_cards() const {
    std::vector<WrappedFor> out;
    if (!std::filesystem::exists(options_.output_folder / kConfigName)) return out;
    try {
      WrappedSet set = read_wrapped({options_.output_folder});
      for (WrappedFor& card : set.cards) {
        const std::string name = card.dir;
        if (auto known = recorded(std::move(card), name)) out.push_back(std::move(*known));
      }
    } catch (const Error&) {  // NOLINT(bugprone-empty-catch): --force replaces what cannot be read
    }
    return out;
  }

  // config.json of all cards: those that it had before, then ours in the reports' order.
  void write_index() {
    if (index_.empty()) return;
    std::map<std::string, WrappedFor> ours;
    for (WrappedFor& card : index_) ours.emplace(card.dir, std::move(card));
    std::vector<WrappedFor> cards;
    for (WrappedFor& card : earlier_cards())
      if (!ours.contains(card.dir)) cards.push_back(std::move(card));
    for (const FleetCard& served : cards_)
      if (const auto card = ours.find(served.dir); card != ours.end())
        cards.push_back(std::move(card->second));
    write_file(options_.output_folder / kConfigName, view(index_text(mek_, cards)), Existing::Replace);
  }

  site::Appliance& appliance_;
  const keys::Mek& mek_;
  const FleetOptions& options_;
  std::vector<QueuedReport> all_;
  std::vector<FleetCard> cards_;           // as all_
  std::vector<std::size_t> todo_;          // places in all_
  std::map<Bytes, std::size_t> first_of_;  // by the ueid that is claimed: the first place in all_
  std::vector<WrappedFor> index_;
  std::map<Bytes, std::uint64_t> latest_;  // by ueid: the last release of this MEK
  std::string taken_;                      // of the last output that was in the way
};

}  // namespace

std::vector<FleetCard> wrap_fleet(site::Appliance& appliance, const keys::Mek& mek,
                                  const FleetOptions& options, const FleetProgress& progress) {
  return Fleet(appliance, mek, options).run(progress);
}

}  // namespace qpcseal::models
