// SPDX-License-Identifier: Apache-2.0
#include "appliance/vendor/vendor_tool.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>

#include "appliance/mek/rotate.h"
#include "appliance/site/logged_act.h"
#include "appliance/vendor/known_outputs.h"
#include "appliance/vendor/tool_run.h"
#include "base/current_error.h"
#include "base/error.h"
#include "base/text.h"

namespace qpcseal::vendor {

namespace {

using encoding::Json;

constexpr const char *kKeyPath = "/qpcseal/key/MEK.dat", *kInput = "/qpcseal/in/model.qpc";
constexpr std::size_t kMaxCards = 32;  // a folder and three files each: OutputLimits has room for them

// The session key that the tool uses is inside the report that was judged: it gets these very bytes.
void add_reports(confine::Job& job, const std::vector<release::Report>& reports) {
  if (reports.empty()) return;
  job.command.emplace_back("--pub-keys");
  for (std::size_t i = 0; i < reports.size(); ++i) {
    const std::string inside = "/qpcseal/reports/pub" + std::to_string(i) + ".dat";
    job.files.push_back({inside, std::make_shared<const Fd>(confine::memory_file(reports[i].bytes)), false});
    job.command.push_back(inside);
  }
}

std::filesystem::path output_dir(const ToolOptions& options) {
  return options.output_folder.empty() ? options.input : options.output_folder;
}

// Only what the tool made here, under this MEK, is bound.
void require_made_here(const KnownOutputs& known, const std::filesystem::path& dir, const keys::Mek& mek) {
  const std::vector<KnownRun> runs = known.runs_of(dir);
  if (std::ranges::find(runs, to_hex(mek.id), &KnownRun::mek_id) == runs.end())
    throw Error(ErrorKind::Denied, dir.string() + " was made under another MEK than " + mek.label);
}

// The model that officers agree to, by its SHA-256.
struct Model {
  Fd file;
  ToolOutput is;  // before the run
};

Model open_model(const std::filesystem::path& path) {
  Fd file = open_to_read(path);
  ToolOutput is = digest_of(file, path.string());
  return {std::move(file), std::move(is)};
}

// Tries what can be tried of its folder, too: from the verdict on challenges are used up.
void prepare(ToolRun& work, const ToolOptions& options, const Model& model, const KnownOutputs& known,
             const keys::Mek& mek) {
  confine::Job& job = work.job;
  add_words(job, {std::string(name_of(options.act))});
  std::uint64_t bytes = 0;
  if (options.act == VendorAct::EncryptModel) {
    bytes = model.is.size;
    Fd qpc(fcntl(model.file.get(), F_DUPFD_CLOEXEC, 0));
    if (!qpc) throw_errno(model.is.name);
    job.folders.push_back({kInput, std::move(qpc), false});
    add_words(job, {"--qpc", kInput});
  }
  if (options.act == VendorAct::EncryptWithSessionKeys) {
    bytes = work.dir.fill(options.input);
    require_made_here(known, work.dir.path(), mek);
    add_words(job, {"--input-dir", kToolOutput});
  }
  add_words(job, {"--mek", kKeyPath});
  if (options.act != VendorAct::EncryptWithSessionKeys) add_words(job, {"--output-dir", kToolOutput});
  add_reports(job, options.reports);
  work.dir.rehearse(model.is.size);
  set_limits(work, bytes, options.time);
}

// Whoever may write to it could give the tool another model than officers agreed to.
void check_unchanged(const Model& model) {
  if (model.file && digest_of(model.file, model.is.name).sha256 != model.is.sha256)
    throw Error(ErrorKind::Denied, model.is.name + " changed while the tool ran");
}

// What the tool said may hold the key that it had: it goes nowhere.
Error exposed_error(const Error& cause, const keys::Mek& mek, const std::string& left) {
  return {cause.kind(), cause.what(),
          mek.label +
              " was handed to the tool and counts as exposed, and as released to the cards of this run; " +
              (left.empty() ? "nothing that the tool made is kept"
                            : "what the tool made is in " + left + " and could NOT be removed: remove it"),
          cause.findings()};
}

std::vector<Json> acts_for(const std::vector<release::Grant>& grants, VendorAct act) {
  return std::vector<Json>(grants.size(), Json{{"tool", name_of(act)}});  // in braces: two elements
}

Json about(const ToolOptions& options) {
  Json out = Json::object();
  if (options.act == VendorAct::EncryptModel)
    out["model"] = valid_utf8(options.input.stem().string().substr(0, 128));
  return out;
}

void check_options(site::Appliance& appliance, const keys::Mek& mek, const ToolOptions& options) {
  if (options.act == VendorAct::EncryptModel) {
    mek::refuse_replaced(appliance.log().state(), mek);
    appliance.refuse_wrap_only(mek);
  } else if (options.reports.empty()) {
    throw Error(ErrorKind::Usage, "no report: give --pub-keys");
  }
  if (options.reports.size() > kMaxCards)
    throw Error(ErrorKind::Usage,
                "more than " + std::to_string(kMaxCards) + " reports for one run of the tool");
}

}  // namespace

std::string_view name_of(VendorAct act) {
  switch (act) {
    case VendorAct::EncryptModel:
      return "encrypt-model";
    case VendorAct::EncryptWithSessionKeys:
      return "encrypt-with-session-keys";
    case VendorAct::WrapMek:
      break;
  }
  return "wrap-mek";
}

VendorResult run_vendor_tool(site::Appliance& appliance, const keys::Mek& mek, const ToolOptions& options) {
  check_options(appliance, mek, options);
  const KnownOutputs known(audit::read_log(appliance.home().log(), std::nullopt));
  Model model;
  if (options.act == VendorAct::EncryptModel) model = open_model(options.input);
  release::Exposure exposure(
      appliance, mek,
      {std::string(name_of(options.act)), release::digests_of(options.reports), model.is.sha256});
  std::optional<release::ReleaseApproval> approval;
  if (!options.reports.empty()) approval.emplace(appliance, mek, release::digests_of(options.reports));
  ToolRun work{{output_dir(options), options.replace || options.output_folder.empty(), known}, {}, {}};
  work.job.command = {exposure.tool().front().inside};
  work.job.files = exposure.tool();
  prepare(work, options, model, known, mek);
  work.job.secret = confine::GivenSecret{kKeyPath, [&] { return exposure.fetch(); }};

  std::optional<release::Transaction> release;
  if (approval)
    release.emplace(appliance, mek, options.reports, *approval, release::Transaction::Mode::AllOrNone,
                    policy::kVendorFormat);
  release::Transaction* cards = release ? &*release : nullptr;
  exposure.begin(about(options));
  exposure.record(cards);
  VendorResult result;
  result.output = output_dir(options);
  try {
    result.outputs = run_and_take(work);
    check_unchanged(model);
    appliance.log().prepare_ok();
  } catch (...) {
    const Error cause = current_error();
    const bool gone = work.dir.discard();  // first, because the log may need its room
    site::log_failure([&] { exposure.fail(cards, cause.what()); });
    throw exposed_error(cause, mek, gone ? "" : work.dir.path().string());
  }
  exposure.commit(cards, as_json(result.outputs),
                  cards == nullptr ? std::vector<Json>{} : acts_for(cards->grants(), options.act));
  site::after_result("the vendor's tool ran",
                     "the key counts as exposed, and released: run it again with new reports",
                     [&] { work.dir.publish(); });
  if (cards != nullptr) result.grants = cards->grants();
  return result;
}

}  // namespace qpcseal::vendor
