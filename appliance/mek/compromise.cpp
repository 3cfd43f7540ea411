// SPDX-License-Identifier: Apache-2.0
#include "appliance/mek/compromise.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "appliance/audit/mek_names.h"
#include "appliance/mek/rotate.h"
#include "base/error.h"
#include "base/nearest.h"

namespace qpcseal::mek {

namespace {

using audit::Entry;
using encoding::Json;
using encoding::text_member;

const audit::MekHistory& find(const audit::State& state, const std::string& reference) {
  std::vector<const audit::MekHistory*> found;
  for (const auto& [id, mek] : state.meks)
    if (mek.label == reference || keys::name_in(mek.label) == reference) found.push_back(&mek);
  if (found.size() == 1) return *found.front();
  if (found.empty())
    throw with_nearest(
        {ErrorKind::Usage, "the log knows no MEK '" + reference + "'", "'qpcseal mek list' shows them"},
        reference, audit::mek_names(state));
  std::ranges::sort(found, {}, &audit::MekHistory::generation);
  std::string labels;
  for (const auto* mek : found) labels += (labels.empty() ? "" : ", ") + mek->label;
  throw Error(ErrorKind::Usage, "'" + reference + "' has several generations: " + labels,
              "name the one that is compromised");
}

// Reads the log once, in order; later entries complete what earlier ones began.
class Reader {
 public:
  Reader(const audit::LogCopy& log, const audit::MekHistory& mek) : log_(log), mek_(mek) {}

  void read_into(CompromisePlan& plan) {
    log_.each([this](std::uint64_t, std::string_view line) { take(audit::parse_entry(line)); });
    for (const auto& [seq, intent] : begun_) take_unsettled(intent);
    plan.backups = backups_;
    plan.containers = std::move(containers_);
    plan.tool_models = std::move(tool_models_);
    for (auto& [ueid, card] : cards_) plan.cards.push_back(std::move(card));
    std::ranges::sort(plan.cards, [](const HeldCard& a, const HeldCard& b) {
      return std::tie(a.host, a.device, a.ueid) < std::tie(b.host, b.device, b.ueid);
    });
  }

 private:
  [[nodiscard]] bool is_ours(const Json& data) const {
    return text_member(data, "mek_id") == to_hex(mek_.id);
  }
  [[nodiscard]] bool is_newer(const Json& data) const {
    const auto other = log_.state.meks.find(from_hex(text_member(data, "mek_id")));
    return other != log_.state.meks.end() && other->second.generation > mek_.generation &&
           keys::name_in(other->second.label) == keys::name_in(mek_.label);
  }

  void take(const Entry& entry) {
    if (entry.kind == "challenge" && !cards_.empty()) asked_[text_member(entry.data, "nonce")] = entry.seq;
    if (entry.phase == audit::Phase::Intent) take_intent(entry);
    if (entry.phase == audit::Phase::Wrapped && entry.kind == "release" && entry.data.contains("exposed"))
      by_tool_.insert(*entry.intent);
    if (entry.phase != audit::Phase::Result) return;
    // "denied" and "failed" prove that nothing was wrapped; "unknown" leaves it open for good.
    if (entry.kind == "release" && entry.outcome != "unknown") begun_.erase(*entry.intent);
    if (entry.outcome != "ok") return;
    if (entry.kind == "seal") take_seal(entry, seals_.at(*entry.intent));
    if (entry.kind == "mek-expose") take_run(entry, runs_.at(*entry.intent));
    if (entry.kind == "release") take_release(entry);
  }

  void take_intent(const Entry& entry) {
    if (entry.kind == "seal") seals_.emplace(entry.seq, entry.data);
    if (entry.kind == "mek-expose") runs_.emplace(entry.seq, entry.data);
    if (entry.kind == "release" && is_ours(entry.data)) begun_.emplace(entry.seq, entry);
    if (entry.kind == "mek-backup" && is_ours(entry.data)) ++backups_;
  }

  void take_seal(const Entry& entry, const Json& intent) {
    const std::string& model = text_member(intent, "model");
    if (is_ours(intent))
      containers_.push_back({text_member(entry.data, "seal_id"),
                             model,
                             encoding::uint_member(intent, "model_version"),
                             entry.time,
                             entry.seq,
                             {}});
    if (!is_newer(intent)) return;
    for (HeldContainer& container : containers_)
      if (container.model == model) container.again = text_member(intent, "mek");
  }

  // A run of the vendor's tool that encrypted a model.
  void take_run(const Entry& entry, const Json& intent) {
    if (!intent.contains("model_sha256")) return;
    const std::string& sha256 = text_member(intent, "model_sha256");
    const std::string name = intent.contains("model") ? text_member(intent, "model") : "";
    if (is_ours(intent)) tool_models_.push_back({name, sha256, entry.time, entry.seq, {}});
    if (!is_newer(intent)) return;
    for (ToolModel& model : tool_models_)
      if (model.model_sha256 == sha256) model.again = text_member(intent, "mek");
  }

  void take_release(const Entry& entry) {
    const std::string& ueid = text_member(entry.data, "ueid");
    const std::string& key = text_member(encoding::member(entry.data, "session_key"), "sha256");
    if (const auto card = cards_.find(ueid); card != cards_.end()) {
      if (is_newer(entry.data)) card->second.again = true;
      if (key != keys_.at(ueid) && was_asked_since(card->second, entry)) card->second.reset = true;
    }
    if (!is_ours(entry.data)) return;
    HeldCard& card = card_of(entry);
    card.again = card.reset = false;
    card.by_tool = by_tool_.contains(*entry.intent);
    card.last = entry.time;
    card.entry = entry.seq;
    ++card.releases;
    keys_[ueid] = key;
    add_containers(card, encoding::member(entry.data, "act"));
  }

  // A session key is made at boot: another one in answer to a later challenge is of a later boot. An answer
  // to an earlier challenge may be of a boot before the card got the key.
  [[nodiscard]] bool was_asked_since(const HeldCard& card, const Entry& release) const {
    const auto asked = asked_.find(text_member(release.data, "nonce"));
    return asked != asked_.end() && asked->second > card.entry;
  }

  // Begun, and nobody knows how far it came: the card may hold the key, also where it was reset since an
  // earlier release.
  void take_unsettled(const Entry& intent) {
    HeldCard& card = card_of(intent);
    card.unsettled = true;
    card.again = card.reset = false;
    card.by_tool = by_tool_.contains(intent.seq);
    if (card.releases > 0) return;
    card.last = intent.time;
    card.entry = intent.seq;
  }

  HeldCard& card_of(const Entry& release) {
    HeldCard& card = cards_[text_member(release.data, "ueid")];
    card.ueid = text_member(release.data, "ueid");
    const auto challenge = log_.state.challenges.find(from_hex(text_member(release.data, "nonce")));
    if (challenge != log_.state.challenges.end()) {
      card.host = challenge->second.host;
      card.device = challenge->second.device;
    }
    return card;
  }

  static void add_containers(HeldCard& card, const Json& act) {
    if (act.contains("seal_id")) card.containers.insert(text_member(act, "seal_id"));
    if (!act.contains("containers")) return;
    for (const Json& one : act.at("containers")) card.containers.insert(text_member(one, "seal_id"));
  }

  const audit::LogCopy& log_;
  const audit::MekHistory& mek_;
  std::map<std::uint64_t, Json> seals_;  // intents by number
  std::map<std::uint64_t, Json> runs_;   // of the vendor's tool, likewise
  std::set<std::uint64_t> by_tool_;      // releases, by their intents
  std::vector<HeldContainer> containers_;
  std::vector<ToolModel> tool_models_;
  std::map<std::string, HeldCard> cards_;
  std::map<std::string, std::string> keys_;     // of a card's last release, SHA-256 of its session key
  std::map<std::string, std::uint64_t> asked_;  // challenges since a card has the key: entries by nonce
  std::map<std::uint64_t, Entry> begun_;        // releases without a result
  std::uint64_t backups_ = 0;
};

}  // namespace

CompromisePlan plan_compromise(const audit::LogCopy& log, const std::string& reference) {
  CompromisePlan plan;
  plan.mek = find(log.state, reference);
  if (const auto next = successor(log.state, plan.mek)) plan.successor = next->label;
  Reader(log, plan.mek).read_into(plan);
  plan.steps = compromise_steps(plan, !log.state.officers_digest.empty());
  return plan;
}

}  // namespace qpcseal::mek
