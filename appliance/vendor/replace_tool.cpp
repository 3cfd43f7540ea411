// SPDX-License-Identifier: Apache-2.0
// Format "vendor" without a key: wrapped MEKs are put beside a model.
#include <algorithm>
#include <optional>
#include <set>
#include <span>

#include "appliance/vendor/known_outputs.h"
#include "appliance/vendor/tool_run.h"
#include "appliance/vendor/vendor_tool.h"
#include "base/error.h"

namespace qpcseal::vendor {

namespace {

struct InForce {
  const audit::State& state;
  policy::Policy policy;
  policy::CollateralFacts collateral;
};

bool is_revoked(const InForce& now, const std::string& ueid) {
  const auto lists = [&](const std::vector<Bytes>& ueids) {
    return std::ranges::find(ueids, from_hex(ueid)) != ueids.end();
  };
  return lists(now.collateral.revoked_ueids) ||
         std::ranges::any_of(now.policy.devices, [&](const policy::DeviceClass& device) {
           return lists(device.revoked_ueids.value);
         });
}

void refuse_run(const KnownRun& run, const InForce& now) {
  const auto mek = now.state.meks.find(from_hex(run.mek_id));
  if (mek == now.state.meks.end() || mek->second.state != "ok")
    throw Error(ErrorKind::Denied,
                "the MEK of log entry " + std::to_string(run.entry) + " is not in use any more");
  policy::ExposeFacts facts;
  facts.mek.label = mek->second.label;
  facts.now = now.state.last_time;
  if (const policy::Decision allowed = policy::evaluate(now.policy, facts); !allowed.allowed())
    throw Error(ErrorKind::Denied,
                "format vendor is denied for " + mek->second.label + ": " + finding_ids(allowed.findings()),
                "", allowed.findings());
  for (const std::string& ueid : run.ueids)
    if (is_revoked(now, ueid))
      throw Error(ErrorKind::Denied,
                  "card " + ueid + ", of log entry " + std::to_string(run.entry) + ", is revoked");
}

// Those under which one of the runs may have made what is in `place`.
std::set<std::string> usable_meks(const KnownOutputs& known, const InForce& now,
                                  const std::filesystem::path& place) {
  std::set<std::string> out;
  std::optional<Error> why;
  for (const KnownRun& made : known.runs_of(place)) {
    try {
      refuse_run(made, now);
      out.insert(made.mek_id);
    } catch (const Error& error) {
      why.emplace(error);
    }
  }
  if (out.empty()) throw Error(why.value());
  return out;
}

// All made here, under one MEK that is in use, for cards that are.
void check_inputs(const site::Home& home, const audit::LogCopy& log, const KnownOutputs& known,
                  const std::vector<std::filesystem::path>& places) {
  const InForce now{log.state, site::read_policy(home, log.state),
                    site::read_pinned_trust(home, log.state).collateral};
  std::set<std::string> common = usable_meks(known, now, places.front());
  for (const auto& place : std::span(places).subspan(1)) {
    const std::set<std::string> these = usable_meks(known, now, place);
    std::erase_if(common, [&](const std::string& mek) { return !these.contains(mek); });
  }
  if (common.empty()) throw Error(ErrorKind::Denied, "the model and the wrapped MEKs are of two MEKs");
}

std::vector<confine::GivenFile> pinned_tool(const audit::State& state) {
  Findings findings;
  const auto* program = audit::find_program(state.site, audit::kVendorTool);
  if (program == nullptr)
    throw Error(ErrorKind::Denied, "the site's facts pin no program 'qaic-encrypt': EXP-TOOL");
  auto out = release::load_program(*program, findings);
  if (!findings.empty())
    throw Error(ErrorKind::Denied, "the vendor's tool is not as it is pinned: " + finding_ids(findings), "",
                findings);
  return out;
}

// A name that nobody else has, in the same folder.
std::filesystem::path beside(const std::filesystem::path& output) {
  return (output.has_filename() ? output : output.parent_path()).parent_path() / ".qpcseal-replace-inputs";
}

// Copies the model, or all of the folder that it is in, to where the tool finds it; its bytes.
std::uint64_t fill_model(const ToolFolder& inputs, const std::filesystem::path& sealed, confine::Job& job) {
  if (std::filesystem::is_directory(std::filesystem::symlink_status(sealed))) {
    job.command.emplace_back("/qpcseal/in/model");
    return inputs.fill(sealed, "model");
  }
  std::filesystem::create_directory(inputs.path() / "model");
  std::filesystem::copy_file(sealed, inputs.path() / "model" / sealed.filename());
  job.command.push_back("/qpcseal/in/model/" + sealed.filename().string());
  return std::filesystem::file_size(sealed);
}

}  // namespace

VendorResult replace_vendor_mek(const site::Home& home, const ToolReplaceOptions& options) {
  site::check_ownership(home);
  const audit::LogCopy log = audit::read_log(home.log(), std::nullopt);
  const KnownOutputs known(log);
  ToolRun run{{options.output_folder, options.replace, known}, {}, {}};
  run.job.files = pinned_tool(log.state);
  run.job.command = {run.job.files.front().inside, "replace-mek", "--encrypted-qpc"};
  // A copy is what is checked and what the tool gets.
  const ToolFolder inputs(beside(options.output_folder), false, known);
  std::vector<std::filesystem::path> places{inputs.path() / "model"};
  const std::uint64_t bytes = fill_model(inputs, options.sealed, run.job);
  run.job.command.emplace_back("--wrapped-meks");
  for (std::size_t i = 0; i < options.wrapped.size(); ++i) {
    const std::string name = "wrapped" + std::to_string(i);
    places.push_back(inputs.path() / name);
    inputs.fill(options.wrapped[i], name);
    run.job.command.push_back("/qpcseal/in/" + name);
  }
  check_inputs(home, log, known, places);
  add_words(run.job, {"--output-dir", kToolOutput});
  run.job.folders.push_back({"/qpcseal/in", inputs.open(), false});
  set_limits(run, bytes, options.time);
  VendorResult result{options.output_folder, run_and_take(run), {}};
  run.dir.publish();
  return result;
}

}  // namespace qpcseal::vendor
