// SPDX-License-Identifier: Apache-2.0
#include "appliance/release/exposure.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>

#include "base/digest.h"
#include "base/error.h"
#include "base/swap.h"

namespace qpcseal::release {

namespace {

using encoding::Json;

constexpr const char* kExposureRule = "docs/VENDOR-SDK.md";

policy::Decision decide_exposure(const site::Appliance& appliance, const keys::Mek& mek) {
  policy::ExposeFacts facts;
  facts.now = appliance.now();
  facts.mek.label = mek.label;
  facts.mek.id = mek.id;
  return policy::evaluate(appliance.policy(), facts);
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// A limit of 1 byte: too little for a dump, and the one value that a kernel which pipes dumps heeds
// (core(5)).
bool dumps_are_off() {
  rlimit limit{};
  if (getrlimit(RLIMIT_CORE, &limit) != 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) return false;
  const bool piped = first_line("/proc/sys/kernel/core_pattern").starts_with('|');
  return piped ? limit.rlim_cur == 1 && limit.rlim_max == 1 : limit.rlim_max <= 1;
}

}  // namespace

Findings check_memory(const audit::SiteFacts& facts) {
  Findings out;
  if (!facts.swap && is_swapping())
    out.push_back(
        {"EXP-SWAP", "swap", "on", "off (swapoff -a), or accepted by the site's facts", kExposureRule});
  if (!dumps_are_off())
    out.push_back({"EXP-CORE", "core dumps", "piped to a program whatever the limit",
                   "a kernel.core_pattern without '|', or a hard limit above 0 to begin with",
                   kExposureRule});
  return out;
}

Findings check_sandbox() {
  const std::string fault = confine::fault_of_sandbox();
  if (fault.empty()) return {};
  return {{"EXP-SANDBOX", "bubblewrap", fault, "a sandbox", kExposureRule}};
}

namespace {

constexpr int kNoProgram = 126;  // of a shell and of env: found, and no program
constexpr int kNotFound = 127;   // of these, and of the dynamic loader that lacks a library

std::string fault_of_start(const confine::Finished& done) {
  const bool missing =
      done.end == confine::End::Exited && (done.code == kNoProgram || done.code == kNotFound);
  const bool ended = done.end == confine::End::Killed || done.end == confine::End::Stopped;
  return missing || ended ? done.words() : "";
}

Finding unstartable(const confine::GivenFile& tool, const std::string& fault) {
  return {"EXP-TOOL-START", tool.inside, fault, "a program that starts in the sandbox", kExposureRule};
}

}  // namespace

Findings check_start(const std::vector<confine::GivenFile>& tool) {
  confine::Job trial;
  trial.command = {tool.front().inside, "--help"};
  trial.files = tool;
  trial.limits.wall = std::chrono::seconds(20);
  trial.limits.memory = kToolMemory;
  trial.limits.file_size = confine::kMaxPinned;  // its own files come into the sandbox under this limit
  try {
    const std::string fault = fault_of_start(confine::run(trial));
    if (fault.empty()) return {};
    return {unstartable(tool.front(), fault)};
  } catch (const Error& error) {
    // Where the program has no interpreter, bubblewrap ends as if its sandbox did not stand.
    if (std::string_view(error.what()).find("bwrap: execvp ") != std::string_view::npos)
      return {unstartable(tool.front(), error.what())};
    return {{"EXP-SANDBOX", "bubblewrap", error.what(), "a sandbox", kExposureRule}};
  }
}

std::vector<confine::GivenFile> load_program(const audit::PinnedProgram& program, Findings& findings) {
  std::vector<confine::GivenFile> out;
  const auto load = [&](const audit::PinnedFile& file) {
    try {
      out.push_back(confine::load_pinned({file.path, file.sha256}, true));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::Internal) throw;
      findings.push_back(
          {"EXP-TOOL-DIGEST", file.path, error.what(), "SHA-256 " + file.sha256, "the site's facts"});
    }
  };
  load(program.program);
  for (const audit::PinnedFile& file : program.files) load(file);
  return out;
}

namespace {

Json hex_list(const std::vector<Sha256Digest>& digests) {
  Json out = Json::array();
  for (const Sha256Digest& digest : digests) out.push_back(to_hex(digest));
  return out;
}

// The program with all of its files: a library decides what a program does as much as the program.
std::string digest_of(const audit::PinnedProgram& program) {
  return sha256_hex(audit::as_json(program).dump());
}

}  // namespace

Json expose_parameters(const std::string& mek_label, const Bytes& mek_id, const audit::PinnedProgram& program,
                       const ExposureAct& act) {
  Json out{{"mek", mek_label},
           {"mek_id", to_hex(mek_id)},
           {"act", act.command},
           {"tool_sha256", program.program.sha256},
           {"program_sha256", digest_of(program)},
           {"reports", hex_list(act.reports)}};
  if (!act.model_sha256.empty()) out["model_sha256"] = act.model_sha256;
  return out;
}

Exposure::Exposure(site::Appliance& appliance, const keys::Mek& mek, ExposureAct act)
    : appliance_(appliance), mek_(mek), act_(std::move(act)), decision_(decide_exposure(appliance, mek)) {
  Findings findings = decision_.findings();
  const audit::PinnedProgram* pinned = audit::find_program(appliance.facts(), audit::kVendorTool);
  if (pinned != nullptr) program_ = *pinned;
  if (pinned == nullptr)
    findings.push_back({"EXP-TOOL", "program '" + std::string(audit::kVendorTool) + "'", "not pinned",
                        "path and SHA-256 in the site's facts", kExposureRule});
  else
    take_tool(findings);
  for (Finding& finding : check_memory(appliance.facts())) findings.push_back(std::move(finding));
  if (!decision_.allowed() || !findings.empty())
    throw Error(ErrorKind::Denied,
                "handing " + mek.label + " to the vendor's tool is denied: " + finding_ids(findings),
                "docs/VENDOR-SDK.md says what it takes", findings);
  approval_ = appliance.approve("mek-expose", expose_parameters(mek.label, mek.id, program_, act_));
  keys::try_exposure(appliance.session(), mek, appliance.random());
}

void Exposure::take_tool(Findings& findings) {
  const std::size_t before = findings.size();
  tool_ = load_program(program_, findings);
  const bool whole = findings.size() == before;
  for (Finding& finding : whole ? check_start(tool_) : check_sandbox())
    findings.push_back(std::move(finding));
}

void Exposure::begin(Json more) {
  Json intent = std::move(more);
  intent.update(expose_parameters(mek_.label, mek_.id, program_, act_));
  intent.update(
      {{"tool", audit::as_json(program_)},
       {"policy", {{"digest", appliance_.policy_digest()}, {"serial", appliance_.policy().serial.value}}}});
  txn_ = appliance_.log().intent("mek-expose", site::with_approval(std::move(intent), approval_));
}

void Exposure::record(Transaction* release) {
  const Json exposed{{"tool_sha256", program_.program.sha256}};
  std::vector<audit::Txn> txns{txn_.value()};
  std::vector<Json> data{{{"mek_id", to_hex(mek_.id)}, {"mek", mek_.label}, {"exposed", exposed}}};
  if (release != nullptr) release->prepare_exposed(exposed, txns, data);
  appliance_.log().wrapped(txns, std::move(data));
  if (release != nullptr) release->reserve_entries();
}

SecretBuffer Exposure::fetch() {
  const auto& open = appliance_.log().state().open;
  const auto intent = txn_ ? open.find(txn_->seq) : open.end();
  if (!decision_.allowed() || fetched_ || intent == open.end() || !intent->second.is_wrapped())
    throw Error(ErrorKind::Internal, "a key is exposed before the log says so");
  fetched_ = true;
  return keys::expose_mek(appliance_.session(), mek_, keys::ExposurePermit(mek_.id), appliance_.random());
}

void Exposure::commit(Transaction* release, Json outputs, std::vector<Json> acts) {
  audit::Outcome ours{txn_.value(), "ok", {{"outputs", std::move(outputs)}}};
  if (release != nullptr) return release->commit(std::move(acts), {std::move(ours)});
  appliance_.log().result(ours.txn, ours.outcome, std::move(ours.data));
}

void Exposure::fail(Transaction* release, const std::string& why) {
  std::vector<audit::Outcome> outcomes{{txn_.value(), "unknown", {{"error", why}}}};
  if (release != nullptr) release->add_unknown(why, outcomes);
  appliance_.log().results(std::move(outcomes));
}

}  // namespace qpcseal::release
