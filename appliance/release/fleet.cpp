#include "appliance/release/fleet.h"

#include <algorithm>
#include <map>

#include "appliance/release/release.h"
#include "appliance/release/rewrap.h"
#include "appliance/release/wrap_files.h"
#include "base/error.h"
#include "base/file_batch.h"

namespace qpcseal::release {

namespace {

using audit::Json;

// A report before its turn: what it says, unverified, and what the log says of it.
struct Waiting {
  std::filesystem::path path;
  std::string fault;  // why it is no report at all
  Sha256Digest digest{};
  std::optional<CardName> card;  // nothing: it cannot be read
  Bytes nonce;
  std::string folder;
  std::optional<std::uint64_t> result;  // an earlier run finished it
};

Waiting look_at(const audit::State& state, const std::filesystem::path& path) {
  Waiting out;
  out.path = path;
  Report report;
  try {
    report = read_report(path);
  } catch (const Error& error) {
    out.fault = error.what();
    return out;
  }
  out.digest = report.digest;
  const auto claims = unverified_claims(report);
  if (!claims) return out;
  out.nonce = claims->nonce;
  out.card = CardName{{}, {}, claims->ueid};
  const auto challenge = state.challenges.find(claims->nonce);
  if (challenge == state.challenges.end()) return out;
  out.card->host = challenge->second.host;
  out.card->device = challenge->second.device;
  if (challenge->second.consumed_by != to_hex(report.digest)) return out;
  out.result = challenge->second.released_by;
  return out;
}

void refuse_duplicates(const std::vector<Waiting>& all) {
  std::map<Bytes, const Waiting*> cards, nonces;
  for (const Waiting& one : all) {
    if (!one.card) continue;
    const auto [card, new_card] = cards.emplace(one.card->ueid, &one);
    if (!new_card)
      throw Error(ErrorKind::Usage, one.path.string() + " and " + card->second->path.string() +
                                        " come from the same card, " + to_hex(one.card->ueid));
    const auto [nonce, new_nonce] = nonces.emplace(one.nonce, &one);
    if (!new_nonce)
      throw Error(ErrorKind::Usage,
                  one.path.string() + " and " + nonce->second->path.string() + " answer the same challenge");
  }
}

void name_folders(std::vector<Waiting>& all) {
  std::vector<CardName> cards;
  for (const Waiting& one : all)
    if (one.card) cards.push_back(*one.card);
  const std::vector<std::string> names = folder_names(cards);
  std::size_t next = 0;
  for (Waiting& one : all)
    if (one.card) one.folder = names[next++];
}

class Fleet {
 public:
  Fleet(Appliance& appliance, const keys::Mek& mek, const FleetWish& wish)
      : appliance_(appliance), mek_(mek), wish_(wish) {
    for (const auto& path : wish.reports) all_.push_back(look_at(appliance.log().state(), path));
    refuse_duplicates(all_);
    name_folders(all_);
    if (wish.existing == Existing::Refuse) refuse_other_output();
    cards_.resize(all_.size());
    for (std::size_t i = 0; i < all_.size(); ++i) sort_in(i);
  }

  std::vector<FleetCard> run(const FleetProgress& progress) {
    std::optional<ReleaseApproval> approval;
    if (!todo_.empty()) approval = approve();
    make_folder(wish_.output_folder, 0755);
    require_writable_folder(wish_.output_folder);
    const std::uint64_t done = all_.size() - todo_.size();
    for (std::size_t at = 0; at < todo_.size(); at += kFleetBatch) {
      const std::size_t end = std::min(at + kFleetBatch, todo_.size());
      batch(
          {todo_.begin() + static_cast<std::ptrdiff_t>(at), todo_.begin() + static_cast<std::ptrdiff_t>(end)},
          *approval);
      if (progress) progress(done + end, all_.size());
    }
    write_index();
    return std::move(cards_);
  }

 private:
  [[nodiscard]] std::filesystem::path place_of(const Waiting& one) const {
    return wish_.output_folder / one.folder;
  }

  // Where a card's files wait, complete and on disk, until the log has their release's result.
  [[nodiscard]] std::filesystem::path waiting_place_of(const Waiting& one) const {
    return wish_.output_folder / ("." + one.folder + ".new");
  }

  // The files of a release that the log tells of, if they are all in `folder`; under `name` from here on.
  [[nodiscard]] std::optional<WrappedFor> files_of(const Waiting& one, const std::filesystem::path& folder,
                                                   const std::string& name) const {
    try {
      WrappedSet set = read_wrapped({folder});
      WrappedFor& card = set.cards.front();
      if (set.cards.size() != 1 || set.mek_id != mek_.id || card.slots.nonce != one.nonce ||
          card.entry != *one.result)
        return std::nullopt;
      card.folder = name;
      return std::move(card);
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  // What an earlier run did, if it only had to be named; that run may have known other cards, and so have
  // named this one otherwise. Files that are gone are not made again: the challenge is used up, and the
  // report will be denied.
  [[nodiscard]] std::optional<WrappedFor> finish(const Waiting& one) const {
    if (!one.result) return std::nullopt;
    for (const std::string& name :
         {one.folder, folder_names({*one.card}).front(), folder_names({{{}, {}, one.card->ueid}}).front()})
      if (auto there = files_of(one, wish_.output_folder / name, name)) return there;
    auto waiting = files_of(one, waiting_place_of(one), one.folder);
    if (waiting) publish_folder(waiting_place_of(one), place_of(one), wish_.existing);
    return waiting;
  }

  // One card's files straight in the output folder, or another key's.
  void refuse_other_output() const {
    const auto& output = wish_.output_folder;
    if (std::filesystem::exists(output / "MEK.encrypt"))
      throw Error(ErrorKind::Io, output.string() + " holds one card's wrapped MEK", "name another output");
    if (std::filesystem::exists(output / kConfigName) && read_wrapped({output}).mek_id != mek_.id)
      throw Error(ErrorKind::Io, output.string() + " holds wrapped MEKs of another key",
                  "name another output");
  }

  void sort_in(std::size_t i) {
    const Waiting& one = all_[i];
    FleetCard& card = cards_[i];
    card.report = one.path.string();
    card.fault = one.fault;
    if (!one.fault.empty()) return;
    if (one.card) card.ueid = one.card->ueid;
    if (auto there = finish(one)) {
      card.folder = all_[i].folder = there->folder;
      card.suite = there->suite;
      card.entry = there->entry;
      card.earlier = true;
      index_.push_back(std::move(*there));
      return;
    }
    if (one.card) refuse_taken_folder(place_of(one), wish_.existing);
    todo_.push_back(i);
  }

  // For all reports of the command, those that an earlier run served too: what officers saw and signed.
  [[nodiscard]] ReleaseApproval approve() const {
    std::vector<Sha256Digest> digests;
    for (const Waiting& one : all_)
      if (one.fault.empty()) digests.push_back(one.digest);
    return {appliance_, mek_, digests};
  }

  Report read_again(const Waiting& one) const {
    Report report = read_report(one.path);
    if (report.digest != one.digest)
      throw Error(ErrorKind::Io, one.path.string() + " changed while this run was at work");
    return report;
  }

  void batch(const std::vector<std::size_t>& places, const ReleaseApproval& approval) {
    std::vector<Report> reports;
    std::map<Sha256Digest, std::size_t> by_digest;
    for (const std::size_t i : places) {
      reports.push_back(read_again(all_[i]));
      by_digest[all_[i].digest] = i;
    }
    const auto act = [&](const std::vector<Grant>& grants) { return write_cards(grants, by_digest); };
    const std::vector<Answer> answers = release_each(appliance_, mek_, reports, approval, act);
    for (std::size_t k = 0; k < places.size(); ++k) {
      FleetCard& card = cards_[places[k]];
      card.findings = answers[k].findings;
      if (!answers[k].grant) continue;
      if (answers[k].grant->entry != card.entry)
        throw Error(ErrorKind::Internal, "config.json names another log entry than the release's");
      card.folder = all_[places[k]].folder;
      publish_folder(waiting_place_of(all_[places[k]]), place_of(all_[places[k]]), wish_.existing);
    }
    sync_folder(wish_.output_folder);
  }

  std::vector<Json> write_cards(const std::vector<Grant>& grants,
                                const std::map<Sha256Digest, std::size_t>& by_digest) {
    FileBatch files;
    std::vector<Json> acts;
    const std::uint64_t first = appliance_.log().state().size;
    for (std::size_t k = 0; k < grants.size(); ++k) {
      const std::size_t i = by_digest.at(grants[k].report_digest);
      WrappedFor card = wrapped_for(grants[k], all_[i].folder, first + k);
      const std::filesystem::path folder = waiting_place_of(all_[i]);
      std::filesystem::remove_all(folder);  // what a run that was cut short left
      make_folder(folder, 0755);
      for (const auto& [name, bytes] : card_files(mek_, card))
        files.add(folder / name, bytes, Existing::Refuse);
      cards_[i].suite = card.suite;
      cards_[i].entry = card.entry;
      acts.push_back({{"wrapped_to", card.folder}});
      index_.push_back(std::move(card));
    }
    files.commit();
    return acts;
  }

  [[nodiscard]] std::vector<WrappedFor> earlier_cards() const {
    if (!std::filesystem::exists(wish_.output_folder / kConfigName)) return {};
    try {
      WrappedSet set = read_wrapped({wish_.output_folder});
      if (set.mek_id == mek_.id) return std::move(set.cards);
    } catch (const Error&) {  // NOLINT(bugprone-empty-catch): --force replaces what cannot be read
    }
    return {};
  }

  // config.json of all cards: those that it had before, then ours in the reports' order.
  void write_index() {
    if (index_.empty()) return;
    std::map<std::string, WrappedFor> ours;
    for (WrappedFor& card : index_) ours.emplace(card.folder, std::move(card));
    std::vector<WrappedFor> cards;
    for (WrappedFor& card : earlier_cards())
      if (!ours.contains(card.folder)) cards.push_back(std::move(card));
    for (const Waiting& one : all_)
      if (const auto card = ours.find(one.folder); card != ours.end())
        cards.push_back(std::move(card->second));
    write_file(wish_.output_folder / kConfigName, view(index_text(mek_, cards)), Existing::Replace);
  }

  Appliance& appliance_;
  const keys::Mek& mek_;
  const FleetWish& wish_;
  std::vector<Waiting> all_;
  std::vector<FleetCard> cards_;   // as all_
  std::vector<std::size_t> todo_;  // places in all_
  std::vector<WrappedFor> index_;
};

}  // namespace

std::vector<FleetCard> wrap_fleet(Appliance& appliance, const keys::Mek& mek, const FleetWish& wish,
                                  const FleetProgress& progress) {
  return Fleet(appliance, mek, wish).run(progress);
}

}  // namespace qpcseal::release
