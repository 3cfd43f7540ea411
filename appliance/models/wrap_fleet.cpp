// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/wrap_fleet.h"

#include <algorithm>
#include <map>
#include <set>

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

// A report before its turn. What it says is unverified, and decides only which outputs are looked at before a
// challenge is used up, and whether a card is named by its UEID alone.
struct QueuedReport {
  std::filesystem::path path;
  std::string fault;  // why it is no report at all
  Sha256Digest digest{};
  std::optional<CardName> card;  // nothing: it cannot be read
  Bytes nonce;
};

QueuedReport preview(const audit::State& state, const std::filesystem::path& path, bool any_form) {
  QueuedReport out;
  out.path = path;
  try {
    const release::Report report = release::read_report(path, any_form);
    out.digest = report.digest;
    if (const auto claims = unverified_claims(report)) {
      out.nonce = claims->nonce;
      out.card = card_name(state, *claims);
    }
  } catch (const Error& error) {
    out.fault = error.what();
  }
  return out;
}

void refuse_copies(std::vector<QueuedReport>& all) {
  std::map<Sha256Digest, const QueuedReport*> seen;
  for (QueuedReport& one : all) {
    if (!one.fault.empty()) continue;
    const auto [first, is_new] = seen.emplace(one.digest, &one);
    if (!is_new) one.fault = "it is the same report as " + first->second->path.string();
  }
}

// A finished release: of this report, by the log.
struct Served {
  Bytes nonce, ueid;
  std::uint64_t entry = 0;  // of its result
};

std::map<std::string, Served> served_reports(const audit::State& state, const Bytes& mek_id) {
  std::map<std::string, Served> out;
  for (const auto& [wrapped, release] : state.releases) {
    if (release.mek_id != mek_id) continue;
    const audit::Challenge& challenge = state.challenges.at(release.nonce);
    if (challenge.released_by == release.seq)
      out.emplace(challenge.consumed_by, Served{release.nonce, release.ueid, release.seq});
  }
  return out;
}

std::string name_by_ueid(const Bytes& ueid) { return folder_names({{{}, {}, ueid}}).front(); }

// No two releases have one: where a card's other names are given away.
std::string last_name(const Bytes& ueid, std::uint64_t entry) {
  return name_by_ueid(ueid) + "-" + std::to_string(entry);
}

// The names that several challenges of this run would get: each of their cards is named by its UEID.
std::set<std::string> shared_names(const std::vector<QueuedReport>& all) {
  std::set<Bytes> nonces;
  std::set<std::string> seen, shared;
  for (const QueuedReport& one : all) {
    if (!one.card || !nonces.insert(one.nonce).second) continue;
    const std::string name = folded(folder_names({*one.card}).front());
    if (!seen.insert(name).second) shared.insert(name);
  }
  return shared;
}

constexpr const char* kGoOn = "the same command gives the files that wait their names";

class Fleet {
 public:
  Fleet(site::Appliance& appliance, const keys::Mek& mek, const FleetOptions& options)
      : appliance_(appliance), mek_(mek), options_(options) {
    for (const auto& path : options.reports)
      all_.push_back(preview(appliance.log().state(), path, release::names_external(appliance.policy())));
    refuse_copies(all_);
    served_ = served_reports(appliance.log().state(), mek.id);
    shared_ = shared_names(all_);
    for (const QueuedReport& one : all_)
      if (one.card) remove_leftovers_once(options.output_folder / names_for(*one.card).front());
    if (options.existing == Existing::Refuse) refuse_other_output();
    remove_old_stages();
    cards_.resize(all_.size());
    for (std::size_t i = 0; i < all_.size(); ++i) classify(i);
    refuse_output_of_nobody();
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
    refuse_output_of_nobody();
    site::after_result("the releases are done", kGoOn, [&] { write_index(); });
    return std::move(cards_);
  }

 private:
  [[nodiscard]] bool is_shared(const CardName& card) const {
    return shared_.contains(folded(folder_names({card}).front()));
  }

  // The best first. The place of a card that is named by its UEID, or the other way round, is second.
  [[nodiscard]] std::vector<std::string> names_for(const CardName& card) const {
    std::vector<std::string> out{folder_names({card}).front(), name_by_ueid(card.ueid)};
    if (is_shared(card)) std::swap(out[0], out[1]);
    return out;
  }

  [[nodiscard]] bool is_given(const std::string& name, const Sha256Digest& report) const {
    const auto given = names_.find(folded(name));
    return given != names_.end() && given->second != report;
  }

  // "" where a card's folder may have this name.
  [[nodiscard]] std::string why_taken(const std::string& name) const {
    try {
      refuse_taken_folder(options_.output_folder / name, options_.existing);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }

  // No two cards of a run have one name.
  std::string give_name(const CardName& card, const Sha256Digest& report, std::uint64_t entry) {
    std::string out = last_name(card.ueid, entry);
    for (const std::string& name : names_for(card)) {
      if (is_given(name, report) || (is_shared(card) && !why_taken(name).empty())) continue;
      out = name;
      break;
    }
    names_.emplace(folded(out), report);
    return out;
  }

  // Where a card's files wait, complete and on disk, until the log has their release's result. Its name is
  // the report's alone: no other report changes it.
  [[nodiscard]] std::filesystem::path staging_dir(const std::string& report) const {
    return options_.output_folder / ("." + report + ".new");
  }
  [[nodiscard]] std::filesystem::path staging_dir(const Sha256Digest& report) const {
    return staging_dir(to_hex(report));
  }

  // Those of releases that ended, and not well: their keys count, and nobody can use them. What this log does
  // not know is another appliance's.
  void remove_old_stages() const {
    for (const auto& [nonce, challenge] : appliance_.log().state().challenges) {
      if (!challenge.consumed || challenge.released_by ||
          appliance_.log().state().open.contains(challenge.intent))
        continue;
      const std::filesystem::path dir = staging_dir(challenge.consumed_by);
      std::error_code ignored;
      if (std::filesystem::exists(dir, ignored) && !find_other_file(dir))
        std::filesystem::remove_all(dir, ignored);
    }
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

  // The files of this release, if they are all in `dir`; under `name` from here on.
  [[nodiscard]] std::optional<WrappedFor> files_of(const Served& release, const std::filesystem::path& dir,
                                                   const std::string& name) const {
    try {
      WrappedSet set = read_wrapped({dir});
      if (set.cards.size() != 1) return std::nullopt;
      auto card = recorded(std::move(set.cards.front()), name);
      return card && card->entry == release.entry ? std::move(card) : std::nullopt;
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  void note_release(std::size_t i, const WrappedFor& files) {
    cards_[i].ueid = files.ueid;
    cards_[i].suite = files.suite;
    cards_[i].entry = files.entry;
  }

  // Gives the files that wait their name; else says why they go on waiting.
  void place(std::size_t i, const std::string& name) {
    const std::filesystem::path dir = options_.output_folder / name, stage = staging_dir(all_[i].digest);
    try {
      if (!std::filesystem::is_directory(stage))
        throw Error(ErrorKind::Io, stage.string() + " is gone: ask the card anew");
      refuse_taken_folder(dir, options_.existing);
      publish_folder(stage, dir, options_.existing);
      cards_[i].dir = name;
    } catch (const std::exception& error) {  // also of the file system: the other cards go on
      cards_[i].waits = error.what();
    }
  }

  // What an earlier run did, if it only had to be named; that run may have known other cards, and so have
  // named this one otherwise. Files that are gone are not made again: the challenge is used up, and the
  // report will be denied.
  bool finish(std::size_t i) {
    const auto found = served_.find(to_hex(all_[i].digest));
    if (found == served_.end()) return false;
    const Served& release = found->second;
    const audit::Challenge& challenge = appliance_.log().state().challenges.at(release.nonce);
    const CardName card{challenge.host, challenge.device, release.ueid};
    std::vector<std::string> names = names_for(card);
    names.push_back(last_name(card.ueid, release.entry));
    std::optional<WrappedFor> files;
    for (std::size_t k = 0; !files && k < names.size(); ++k)
      files = files_of(release, options_.output_folder / names[k], names[k]);
    const bool is_placed = files.has_value();
    if (!files) files = files_of(release, staging_dir(all_[i].digest), "");
    if (!files) return false;
    note_release(i, *files);
    cards_[i].earlier = true;
    cards_[i].old = why_old(release, is_placed);
    if (is_placed) {
      cards_[i].dir = files->dir;
      names_.emplace(folded(files->dir), all_[i].digest);
    } else if (cards_[i].old.empty()) {  // else a later release of the card has the name
      files->dir = give_name(card, all_[i].digest, release.entry);
      place(i, files->dir);
    }
    if (!cards_[i].dir.empty()) index_.push_back(std::move(*files));
    return true;
  }

  // A card may have been reset since, and then cannot use what lies in these files.
  [[nodiscard]] std::string why_old(const Served& release, bool is_placed) {
    const audit::State& state = appliance_.log().state();
    if (latest_.empty())
      for (const auto& [wrapped, other] : state.releases)
        if (other.mek_id == mek_.id) {
          std::uint64_t& latest = latest_[other.ueid];
          latest = std::max(latest, other.seq);
        }
    const std::string served = "it was served before, log entry " + std::to_string(release.entry);
    const std::uint64_t later = latest_.at(release.ueid);
    if (later > release.entry)
      return served + ", and this card answered a later request since, log entry " + std::to_string(later);
    const UnixTime expires = state.challenges.at(release.nonce).expires;
    if (!is_placed || expires > appliance_.now()) return "";
    return served + ", and its challenge expired at " + format_time(expires);
  }

  // One card's files straight in the output folder, or another key's.
  void refuse_other_output() const {
    const auto& output = options_.output_folder;
    if (std::filesystem::exists(output / "MEK.encrypt"))
      throw Error(ErrorKind::Io, output.string() + " holds one card's wrapped MEK", "name another output");
    if (std::filesystem::exists(output / kConfigName) && read_index(output).mek_id != mek_.id)
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
    if (finish(i)) return;
    if (one.card) card.fault = find_output(*one.card, one.digest);
    if (card.fault.empty()) todo_.push_back(i);
  }

  // An output that is there and not ours is that card's fault alone: a report may claim any card. "" where
  // none is.
  std::string find_output(const CardName& card, const Sha256Digest& report) {
    std::string fault;
    for (const std::string& name : names_for(card)) {
      if (is_given(name, report)) continue;
      std::string why = why_taken(name);
      if (why.empty()) return "";
      if (fault.empty()) fault = std::move(why);
      if (!is_shared(card)) break;  // what has its own name is for the operator to see
    }
    if (!fault.empty()) taken_ = fault;
    return fault;
  }

  void refuse_output_of_nobody() const {
    if (!taken_.empty() &&
        std::ranges::none_of(cards_, [](const FleetCard& card) { return card.fault.empty(); }))
      throw Error(ErrorKind::Io, taken_, "name another output, or replace it with --force");
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
    release::Transaction release(appliance_, mek_, reports, approval, release::Transaction::Mode::Each,
                                 policy::kOwnFormat, [&](const release::ReleaseItem& item) {
                                   return find_output(card_name(appliance_.log().state(), item.claims()),
                                                      item.report->digest);
                                 });
    std::map<Sha256Digest, std::size_t> by_digest;
    for (std::size_t k = 0; k < index.size(); ++k) {
      by_digest[reports[k].digest] = index[k];
      const release::ReleaseItem& judged = release.candidates()[k];
      cards_[index[k]].findings = judged.findings();
      if (judged.verifies()) cards_[index[k]].ueid = judged.claims().ueid;
    }
    const std::vector<release::Grant>& grants = release.wrap();
    for (std::size_t k = 0; k < index.size(); ++k) cards_[index[k]].fault = release.candidates()[k].fault;
    std::vector<WrappedFor> wrapped;
    for (const release::Grant& grant : grants)
      wrapped.push_back(wrapped_for(
          grant, give_name({grant.host, grant.device, grant.claims.ueid}, grant.report_digest, grant.entry)));
    write_cards(wrapped);
    std::vector<Json> acts;
    for (const WrappedFor& card : wrapped) acts.push_back({{"wrapped_to", card.dir}});
    release.commit(std::move(acts));
    site::after_result("the releases are done", kGoOn, [&] { publish(std::move(wrapped), by_digest); });
  }

  void write_cards(const std::vector<WrappedFor>& cards) const {
    FileBatch files;
    for (const WrappedFor& card : cards) {
      const std::filesystem::path dir = staging_dir(card.report_digest);
      std::filesystem::remove_all(dir);  // what a run that was cut short left
      files.dir(dir);
      for (const auto& [name, bytes] : card_files(mek_, card)) files.add(dir / name, bytes, Existing::Refuse);
    }
    files.commit();
  }

  void publish(std::vector<WrappedFor> cards, const std::map<Sha256Digest, std::size_t>& by_digest) {
    for (WrappedFor& card : cards) {
      const std::size_t i = by_digest.at(card.report_digest);
      note_release(i, card);
      place(i, card.dir);
      if (!cards_[i].dir.empty()) index_.push_back(std::move(card));
    }
    sync_folder(options_.output_folder);
  }

  // Those cards of the output's config.json whose releases the log tells of.
  [[nodiscard]] std::vector<WrappedFor> earlier_cards() const {
    std::vector<WrappedFor> out;
    if (!std::filesystem::exists(options_.output_folder / kConfigName)) return out;
    try {
      WrappedSet set = read_index(options_.output_folder);
      for (WrappedFor& card : set.cards) {
        const std::string name = card.dir;
        if (auto known = recorded(std::move(card), name)) out.push_back(std::move(*known));
      }
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::Io) throw;  // what is there and cannot be read now is not forgotten
    }  // --force replaces what is no such file
    return out;
  }

  // config.json of all cards: those that it had before, then ours in the reports' order.
  void write_index() {
    if (index_.empty()) return;
    std::map<std::string, WrappedFor> ours;
    for (WrappedFor& card : index_) ours.emplace(folded(card.dir), std::move(card));
    std::vector<WrappedFor> cards;
    for (WrappedFor& card : earlier_cards())
      if (!ours.contains(folded(card.dir))) cards.push_back(std::move(card));
    for (const FleetCard& served : cards_)
      if (const auto card = ours.find(folded(served.dir)); card != ours.end())
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
  std::map<std::string, Served> served_;   // by the report's digest, hex
  std::set<std::string> shared_;
  std::map<std::string, Sha256Digest> names_;  // given in this run: the report that has it
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
