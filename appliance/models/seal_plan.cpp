// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/seal_plan.h"

#include <algorithm>

#include "appliance/models/seal_input.h"
#include "appliance/seal/host_readable.h"
#include "base/error.h"

namespace qpcseal::models {

namespace {

constexpr std::string_view kNetwork = "network.elf", kNetworkDescriptor = "networkdesc.bin",
                           kConstantsDescriptor = "constantsdesc.bin";

// A container that a card loads, or the one around them.
struct Sealable {
  const qpc::Container& container;
  std::string prefix;                   // of its segments' names for people
  std::vector<std::string> partitions;  // its segments that are containers
  std::vector<std::string> segments;    // to be sealed
  std::map<std::string, seal::ClearRanges> clear;
  std::vector<policy::SealFacts::Whole> whole;

  // Non-empty segments that are no partitions.
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const qpc::Segment& segment : container.segments())
      if (segment.size > 0 && std::ranges::find(partitions, segment.name) == partitions.end())
        out.push_back(segment.name);
    return out;
  }
  [[nodiscard]] bool has(std::string_view name) const { return container.find(name) != nullptr; }
  [[nodiscard]] bool has_content(std::string_view name) const {
    const qpc::Segment* segment = container.find(name);
    return segment != nullptr && segment->size > 0;
  }
};

// The rules of the vendor's own validation.
void require_complete(const Sealable& one) {
  std::string lacks;
  for (const std::string_view name : {kNetwork, kNetworkDescriptor})
    if (!one.has_content(name)) lacks = "it has no " + std::string(name) + ", or an empty one";
  if (lacks.empty() && one.has(qpc::kConstants) != one.has(kConstantsDescriptor))
    lacks = "it has one of constants.bin and constantsdesc.bin without the other";
  if (lacks.empty()) return;
  const std::string what =
      one.prefix.empty() ? "" : "partition '" + one.prefix.substr(0, one.prefix.size() - 1) + "': ";
  throw Error(ErrorKind::Malformed, what + "no card can load it: " + lacks,
              "seal the QPC as the compiler wrote it; --allow-incomplete seals this one all the same");
}

// What of each sealed segment stays readable for a host, and what it is told.
void find_readable(const Fd& input, const policy::MekRule& rule, Sealable& one,
                   std::vector<ReadablePart>& readable) {
  for (const std::string& name : one.names()) {
    const bool sealed = std::ranges::find(one.segments, name) != one.segments.end();
    ReadablePart part{one.prefix + name, sealed, {}, false, {}};
    if (sealed) {
      const qpc::Segment& segment = *one.container.find(name);
      const bool elf = qpc::is_elf(input, segment.data_position, segment.size);
      if (!elf && name != kNetwork) continue;  // no host reads it
      seal::HostReadable found;
      if (rule.elf.value == policy::ElfRule::Whole) {
        found.why_not = "the policy says so";
      } else {
        found = seal::find_host_readable(input, segment, rule.elf_sections.value);
        if (found.clear.empty()) one.whole.push_back({name, found.why_not});
      }
      if (!found.clear.empty()) one.clear[name] = found.clear;
      part.sections = found.sections;
      part.symbol_names = found.symbol_names;
      part.why_whole = found.why_not;
    }
    readable.push_back(std::move(part));
  }
}

void judge(const site::Appliance& appliance, const keys::Mek& mek, const SealPlan& plan,
           std::uint64_t encryptions_before, const Sealable& one) {
  if (one.segments.empty() && !one.partitions.empty()) return;  // it only holds partitions
  const audit::MekHistory& history = appliance.log().state().meks.at(mek.id);
  policy::SealFacts facts;
  facts.now = appliance.now();
  facts.mek = {mek.label, mek.id, history.releases, history.encryptions + encryptions_before};
  facts.mode = seal::to_string(plan.options.mode);
  facts.segments = one.segments;
  facts.available = one.names();
  facts.whole = one.whole;
  facts.encryptions_wanted = plan.encryptions();
  const Findings findings = policy::evaluate(appliance.policy(), facts).findings();
  if (findings.empty()) return;
  const std::string what = one.prefix.empty()
                               ? "sealing"
                               : "sealing partition '" + one.prefix.substr(0, one.prefix.size() - 1) + "'";
  throw Error(ErrorKind::Denied, what + " is denied: " + finding_ids(findings), "", findings);
}

std::string model_name(const SealModelOptions& options) {
  return options.model_name.empty() ? default_model_name({options.qpc}) : options.model_name;
}

seal::SealOptions seal_options(const site::Appliance& appliance, const SealModelOptions& request) {
  seal::SealOptions options;
  options.mode = request.mode;
  options.created = appliance.now();
  options.model_name = model_name(request);
  options.model_version = request.model_version;
  options.threads = request.threads;
  if (options.model_name.empty() || options.model_name.size() > seal::kMaxModelName)
    throw Error(ErrorKind::Usage,
                "the model's name has " + std::to_string(options.model_name.size()) +
                    " bytes, allowed are 1 to " + std::to_string(seal::kMaxModelName),
                "--name NAME gives it another one than the file's");
  return options;
}

}  // namespace

std::vector<std::string> SealPlan::sealed_segments() const {
  std::vector<std::string> out = options.segments;
  for (const seal::Partition& partition : partitions)
    for (const std::string& segment : partition.segments) out.push_back(partition.name + "/" + segment);
  return out;
}

SealPlan plan_sealing(const site::Appliance& appliance, const keys::Mek& mek, const SealModelOptions& options,
                      const Fd& input, const qpc::Container& container, std::uint64_t encryptions_before) {
  SealPlan plan{input,
                container,
                read_partitions(input, container, options.order),
                seal_options(appliance, options),
                {}};
  std::vector<Sealable> all{{container, "", {}, {}, {}, {}}};
  for (const seal::Partition& partition : plan.partitions) {
    all[0].partitions.push_back(partition.name);
    all.push_back({partition.container, partition.name + "/", {}, {}, {}, {}});
  }
  const policy::MekRule* rule = appliance.policy().mek(mek.label);
  for (Sealable& one : all) {
    if (!options.incomplete && one.partitions.empty()) require_complete(one);
    one.segments = policy::segments_to_seal(appliance.policy(), mek.label, one.names());
    if (rule != nullptr) find_readable(input, *rule, one, plan.readable);
  }
  plan.options.segments = all[0].segments;
  plan.options.clear = all[0].clear;
  for (std::size_t i = 0; i < plan.partitions.size(); ++i) {
    plan.partitions[i].segments = all[i + 1].segments;
    plan.partitions[i].clear = all[i + 1].clear;
  }
  for (const Sealable& one : all) judge(appliance, mek, plan, encryptions_before, one);
  return plan;
}

}  // namespace qpcseal::models
