// SPDX-License-Identifier: Apache-2.0
// The commands of a plan after a compromise.
#include <algorithm>
#include <iterator>
#include <map>

#include "appliance/keys/mek.h"
#include "appliance/mek/compromise.h"
#include "base/text.h"

namespace qpcseal::mek {

namespace {

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

// The vendor's tool has no names and versions of models: their bytes tell them apart.
void add_tool_models(Step& step, const CompromisePlan& plan, const std::string& next) {
  std::set<std::string> named;
  for (const ToolModel& model : plan.tool_models)
    if (model.again.empty() && named.insert(model.model_sha256).second)
      step.commands.push_back("model " + shell_word(model.model) + ", SHA-256 " + model.model_sha256 +
                              ": qpcseal encrypt-model --format vendor --qpc PLAIN_QPC --mek " +
                              shell_word(next) + " --output-dir NEW_DIR");
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
  add_tool_models(step, plan, next);
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

// Stock cards answer the bare nonce, each one of its own.
void add_stock_cards(Step& step, const std::vector<HeldCard>& cards, const std::string& next) {
  for (const HeldCard& card : cards) {
    step.commands.push_back("qpcseal attest request --raw --mek " + shell_word(next) + " --ueid " +
                            card.ueid + " -o " + card.ueid + ".request");
    step.commands.push_back("where card " + card.ueid +
                            " is: QAicRemoteAttestationClient.py --ip HOST -d N -i " + card.ueid +
                            ".request -o " + card.ueid + ".report");
  }
}

Step attest_step(const std::vector<HeldCard>& own, const std::vector<HeldCard>& stock,
                 const std::string& next) {
  const Places places = places_of(own);
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
  add_stock_cards(step, stock, next);
  return step;
}

Step bind_step(const std::vector<HeldCard>& own, const std::vector<HeldCard>& stock,
               const std::string& next) {
  Step step{"Bind each newly sealed model to its card.", {}};
  const auto bind = [&](const std::string& format) {
    step.commands.push_back("qpcseal encrypt-with-session-keys" + format + " --input-dir NEW_DIR --mek " +
                            shell_word(next) + " --pub-keys REPORT");
  };
  if (!own.empty()) bind("");
  if (!stock.empty()) bind(" --format vendor");
  return step;
}

std::vector<HeldCard> with(const std::vector<HeldCard>& cards, bool HeldCard::* what, bool value) {
  std::vector<HeldCard> out;
  std::ranges::copy_if(cards, std::back_inserter(out),
                       [&](const HeldCard& card) { return card.*what == value; });
  return out;
}

}  // namespace

std::vector<Step> compromise_steps(const CompromisePlan& plan, bool officers) {
  const std::string name(keys::name_in(plan.mek.label));
  const std::string next = plan.successor.empty() ? name : plan.successor;
  const std::vector<HeldCard> waiting = with(plan.cards, &HeldCard::again, false);
  const std::vector<HeldCard> own = with(waiting, &HeldCard::by_tool, false);
  const std::vector<HeldCard> stock = with(waiting, &HeldCard::by_tool, true);
  std::vector<Step> all;
  if (officers) all.push_back(officers_step());
  all.push_back(stop_step(plan.mek));
  if (plan.successor.empty())
    all.push_back({"Make the key that takes its place.", {"qpcseal mek rotate " + name}});
  all.push_back(seal_step(plan, next));
  all.push_back(reset_step(places_of(with(plan.cards, &HeldCard::reset, false))));
  all.push_back(attest_step(own, stock, next));
  all.push_back(bind_step(own, stock, next));
  if (!plan.containers.empty())
    all.push_back(
        {"Where a card holds a least model version, raise it, so that no card of this site loads the "
         "old containers again; then delete them everywhere.",
         {}});
  if (!plan.tool_models.empty())
    all.push_back({"Where files lie that the vendor's tool encrypted under it, delete them.", {}});
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
  std::erase_if(all,
                [](const Step& step) { return step.commands.empty() && !step.what.starts_with("Where"); });
  return all;
}

}  // namespace qpcseal::mek
