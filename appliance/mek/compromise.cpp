// SPDX-License-Identifier: Apache-2.0
#include "appliance/mek/compromise.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>

#include "appliance/mek/rotate.h"
#include "base/error.h"
#include "base/text.h"

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
    throw Error(ErrorKind::Usage, "the log knows no MEK '" + reference + "'",
                "'qpcseal mek list' shows them");
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
    if (entry.phase != audit::Phase::Result) return;
    // "denied" and "failed" prove that nothing was wrapped; "unknown" leaves it open for good.
    if (entry.kind == "release" && entry.outcome != "unknown") begun_.erase(*entry.intent);
    if (entry.outcome != "ok") return;
    if (entry.kind == "seal") take_seal(entry, seals_.at(*entry.intent));
    if (entry.kind == "release") take_release(entry);
  }

  void take_intent(const Entry& entry) {
    if (entry.kind == "seal") seals_.emplace(entry.seq, entry.data);
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
  std::vector<HeldContainer> containers_;
  std::map<std::string, HeldCard> cards_;
  std::map<std::string, std::string> keys_;     // of a card's last release, SHA-256 of its session key
  std::map<std::string, std::uint64_t> asked_;  // challenges since a card has the key: entries by nonce
  std::map<std::uint64_t, Entry> begun_;        // releases without a result
  std::uint64_t backups_ = 0;
};

// 0-3,5
std::string ranges_of(const std::vector<std::uint64_t>& sorted) {
  std::string out;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    std::size_t end = i;
    while (end + 1 < sorted.size() && sorted[end + 1] == sorted[end] + 1) ++end;
    out += (out.empty() ? "" : ",") + std::to_string(sorted[i]);
    if (end > i) out += "-" + std::to_string(sorted[end]);
    i = end;
  }
  return out;
}

struct Places {
  std::map<std::string, std::vector<std::uint64_t>> hosts;  // device numbers, ascending
  std::vector<std::string> unplaced;                        // ueids
};

Places places_of(const std::vector<HeldCard>& cards) {
  Places out;
  for (const HeldCard& card : cards) {
    if (card.host.empty() || !card.device) {
      out.unplaced.push_back(card.ueid);
    } else {
      out.hosts[card.host].push_back(*card.device);
    }
  }
  for (auto& [host, devices] : out.hosts) {
    std::ranges::sort(devices);
    devices.erase(std::ranges::unique(devices).begin(), devices.end());
  }
  return out;
}

Step officers_step() {
  return {
      "Where the policy asks for officers, have them sign a request for each command below ('qpcseal request "
      "new'), and give it to the command by --request and --approval.",
      {}};
}

Step stop_step(const audit::MekHistory& mek) {
  Step step{"Stop releasing the key to cards.", {}};
  if (mek.state == "ok") step.commands.push_back("qpcseal mek suspend " + mek.label);
  return step;
}

Step seal_step(const CompromisePlan& plan, const std::string& next) {
  Step step{"Seal each model anew, from its plain QPC, with a higher version.", {}};
  std::map<std::string, std::uint64_t> versions;
  for (const HeldContainer& container : plan.containers) {
    auto& version = versions[container.model];
    version = std::max(version, container.version);
  }
  for (const HeldContainer& container : plan.containers)
    if (!container.again.empty()) versions.erase(container.model);
  for (const auto& [model, version] : versions)
    step.commands.push_back("qpcseal encrypt-model --qpc PLAIN_QPC --mek " + shell_word(next) + " --name " +
                            shell_word(model) + " --model-version " + std::to_string(version + 1) +
                            " --output-dir NEW_DIR");
  return step;
}

Step reset_step(const Places& places) {
  Step step{
      "Reset each card that may hold the key, on its host, as root: until then its wrapped MEK keeps "
      "working.",
      {}};
  for (const auto& [host, devices] : places.hosts)
    step.commands.push_back("on " + host + ", cards " + ranges_of(devices) +
                            ": echo 1 > /sys/bus/mhi/devices/MHI_ID/soc_reset");
  for (const std::string& ueid : places.unplaced)
    step.commands.push_back("where card " + ueid + " is: echo 1 > /sys/bus/mhi/devices/MHI_ID/soc_reset");
  return step;
}

Step attest_step(const Places& places, const std::string& next) {
  Step step{"Attest the cards for the new key.", {}};
  for (const auto& [host, devices] : places.hosts) {
    step.commands.push_back("qpcseal attest request --mek " + shell_word(next) + " --host " + host +
                            " --device " + ranges_of(devices) + " -o trip-" + host + "/");
    step.commands.push_back("qpcseal-attest --batch trip-" + host + "/batch");
  }
  for (const std::string& ueid : places.unplaced) {
    step.commands.push_back("qpcseal attest request --mek " + shell_word(next) + " --ueid " + ueid + " -o " +
                            ueid + ".request");
    step.commands.push_back("where card " + ueid + " is: qpcseal-attest --device N -i " + ueid +
                            ".request -o " + ueid + ".report");
  }
  return step;
}

std::vector<HeldCard> without(const std::vector<HeldCard>& cards, bool HeldCard::* done) {
  std::vector<HeldCard> out;
  std::ranges::copy_if(cards, std::back_inserter(out), [&](const HeldCard& card) { return !(card.*done); });
  return out;
}

void add_steps(CompromisePlan& plan, bool officers) {
  const std::string name(keys::name_in(plan.mek.label));
  const std::string next = plan.successor.empty() ? name : plan.successor;
  const std::vector<HeldCard> waiting = without(plan.cards, &HeldCard::again);
  std::vector<Step> all;
  if (officers) all.push_back(officers_step());
  all.push_back(stop_step(plan.mek));
  if (plan.successor.empty())
    all.push_back({"Make the key that takes its place.", {"qpcseal mek rotate " + name}});
  all.push_back(seal_step(plan, next));
  all.push_back(reset_step(places_of(without(plan.cards, &HeldCard::reset))));
  all.push_back(attest_step(places_of(waiting), next));
  if (!waiting.empty())
    all.push_back({"Bind each newly sealed model to its card.",
                   {"qpcseal encrypt-with-session-keys --input-dir NEW_DIR --mek " + shell_word(next) +
                    " --pub-keys REPORT"}});
  if (!plan.containers.empty())
    all.push_back(
        {"Where a card holds a least model version, raise it, so that no card of this site loads the "
         "old containers again; then delete them everywhere.",
         {}});
  if (plan.backups > 0)
    all.push_back(
        {"Where a backup of it went (the log names " + std::to_string(plan.backups) +
             "; 'qpcseal audit show --kind mek-backup'), destroy what was restored from it, and the file.",
         {}});
  if (plan.mek.exposures > 0)
    all.push_back(
        {"Where this workstation, or the vendor's tool on it, may be the cause: the tool had the key in "
         "the clear " +
             std::to_string(plan.mek.exposures) + " times since " + format_time(plan.mek.exposed_since) +
             ". Make the new key and seal anew on a workstation that is set up afresh, and look into this "
             "one.",
         {"qpcseal audit show --kind mek-expose --mek " + plan.mek.label}});
  if (plan.mek.state != "destroyed")
    all.push_back({"Destroy the key, once nothing needs it.", {"qpcseal mek destroy " + plan.mek.label}});
  std::ranges::copy_if(all, std::back_inserter(plan.steps), [](const Step& step) {
    return !step.commands.empty() || step.what.starts_with("Where");
  });
}

}  // namespace

CompromisePlan plan_compromise(const audit::LogCopy& log, const std::string& reference) {
  CompromisePlan plan;
  plan.mek = find(log.state, reference);
  if (const auto next = successor(log.state, plan.mek)) plan.successor = next->label;
  Reader(log, plan.mek).read_into(plan);
  add_steps(plan, !log.state.officers_digest.empty());
  return plan;
}

}  // namespace qpcseal::mek
