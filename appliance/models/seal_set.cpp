// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/seal_set.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>

#include "appliance/mek/rotate.h"
#include "appliance/models/made_from.h"
#include "appliance/models/seal_act.h"
#include "appliance/models/seal_input.h"
#include "appliance/models/sealed_set.h"
#include "appliance/site/logged_act.h"
#include "base/error.h"
#include "base/file_digest.h"
#include "base/file_name.h"

namespace qpcseal::models {

namespace {

using encoding::Json;
namespace fs = std::filesystem;

// A QPC of the set, open from its judgement to its sealing.
struct PlannedModel {
  FolderFile file;
  Fd input;
  qpc::Container container;
  std::optional<SealPlan> plan;
  std::optional<Sha256Digest> kept;  // of the container that an earlier run made and that stays
};

class SetSealing {
 public:
  SetSealing(site::Appliance& appliance, const keys::Mek& mek, const SealSetOptions& options,
             const seal::Progress& progress)
      : appliance_(appliance), mek_(mek), options_(options), wanted_(options.model), progress_(progress) {
    if (wanted_.model_name.empty()) wanted_.model_name = default_model_name(options.inputs);
    result_.name = wanted_.model_name;
    result_.output = wanted_.output_folder;
  }

  SealSetResult run() {
    const std::vector<FolderFile> files = files_of_set(options_.inputs);
    judge_all(files);
    const Json approved =
        approve_seal(appliance_, mek_, wanted_.model_name, [&] { return digest_of_inputs(files); });
    make_folder(wanted_.output_folder, 0755);
    Json intent{{"mek_id", to_hex(mek_.id)},   {"mek", mek_.label},
                {"model", wanted_.model_name}, {"model_version", wanted_.model_version},
                {"models", models_.size()},    {"files", files.size()}};
    intent.update(approved);
    AtomicFile output(wanted_.output_folder / seal::kSetName,
                      options_.skip_existing ? Existing::Replace : wanted_.existing);
    site::logged_act(appliance_.log(), {"seal-set", std::move(intent), [&](const audit::Txn& txn) {
                                          return seal_all(files, txn, output.fd());
                                        }});
    site::after_result("the set is sealed", "seal it again with --skip-existing", [&] { output.commit(); });
    return std::move(result_);
  }

 private:
  // What the policy or the output folder refuses is refused before anything is sealed.
  void judge_all(const std::vector<FolderFile>& files) {
    std::uint64_t encryptions = 0;
    for (const FolderFile& file : files)
      with_context("'" + file.path + "' of the set", [&] {
        if (!file.is_qpc) return judge_other(file);
        PlannedModel& model = models_.emplace_back();
        model.file = file;
        model.input = open_to_read(file.file);
        model.container = qpc::Container::read(model.input);
        seal::check_plain(model.container);
        model.plan.emplace(
            plan_sealing(appliance_, mek_, wanted_, model.input, model.container, encryptions));
        if (stays(file, [&](const fs::path& there) { return judge_kept(model, there); })) return;
        encryptions += model.plan->encryptions();
        total_ += file_size(model.input);
      });
    if (models_.size() > seal::kMaxSetModels)
      throw Error(ErrorKind::Usage,
                  "a set has at most 256 QPCs, and there are " + std::to_string(models_.size()));
  }

  // What officers approved is held against what is copied; models stay open from here on.
  Sha256Digest digest_of_inputs(const std::vector<FolderFile>& files) {
    auto model = models_.cbegin();
    std::vector<ListedDigest> list;
    for (const FolderFile& file : files) {
      const Sha256Digest digest =
          file.is_qpc ? file_digest((model++)->input) : file_digest(open_to_read(file.file));
      list.push_back({file.path, digest});
      if (!file.is_qpc) approved_[file.path] = digest;
    }
    return digest_of_list(list);
  }

  void judge_other(const FolderFile& file) {
    const Fd input = open_to_read(file.file);
    if (!is_copied(file, input)) total_ += file_size(input);
  }

  [[nodiscard]] bool is_copied(const FolderFile& file, const Fd& input) const {
    return stays(file, [&](const fs::path& path) -> std::string {
      return file_digest(open_to_read(path)) == file_digest(input) ? "" : "it has another content";
    });
  }

  // Whether the output that `file` becomes is there already and stays. `differs` says why it may not.
  template <typename Differs>
  bool stays(const FolderFile& file, const Differs& differs) const {
    const fs::path there = wanted_.output_folder / file.path;
    if (!is_name_taken(there) || wanted_.existing == Existing::Replace) return false;
    if (!options_.skip_existing)
      throw Error(ErrorKind::Io, there.string() + " exists",
                  "--skip-existing goes on where a run ended; --force replaces what is there");
    const std::string why = differs(there);
    if (why.empty()) return true;
    throw Error(ErrorKind::Usage, there.string() + " was not made from this input: " + why,
                "remove it, or seal the whole set anew with --force");
  }

  // Why the container that an earlier run made may not stay, or nothing.
  [[nodiscard]] std::string judge_kept(PlannedModel& model, const fs::path& there) const {
    // As an input of an output elsewhere: an unfinished binding stays as it is.
    const std::vector<SealedFile> sealed = open_sealed(there, there.parent_path()).files;
    require_sealed_here(sealed, appliance_.log().state());
    model.kept = sha256(sealed.front().tree.root().container.manifest());
    return differs_from_plan(sealed.front(), *model.plan, mek_.id);
  }

  Json seal_all(const std::vector<FolderFile>& files, const audit::Txn& txn, const Fd& output) {
    seal::SetManifest manifest;
    manifest.set_id = appliance_.random().bytes(seal::kIdSize);
    manifest.mek_id = mek_.id;
    manifest.created = appliance_.now();
    manifest.name = wanted_.model_name;
    manifest.version = wanted_.model_version;
    auto model = models_.begin();
    for (const FolderFile& file : files)
      with_context("'" + file.path + "' of the set", [&] {
        for (const std::string& dir : folders_above(file.path))
          make_folder(wanted_.output_folder / dir, 0755);
        manifest.entries.push_back(file.is_qpc ? seal_one(*model++, txn) : copy_one(file));
        if (file.is_qpc) return;
        result_.others.push_back(manifest.entries.back());
        const auto approved = approved_.find(file.path);
        if (approved != approved_.end() && approved->second != manifest.entries.back().digest)
          throw Error(ErrorKind::Denied, "it is not what officers approved", "seal the set again");
      });
    const Bytes bytes = seal::encode_set_manifest(manifest);
    result_.manifest_digest = sha256(bytes);
    keys::SealKey signer(appliance_.seal_key());
    write_exact(output,
                seal::encode_signed_set({bytes, signer.sign(seal::set_message(result_.manifest_digest))}), 0);
    return {{"set_id", to_hex(manifest.set_id)}, {"manifest_sha256", to_hex(result_.manifest_digest)}};
  }

  // What is listed is what was made or judged: a file that somebody puts into its place is no part of the
  // set.
  seal::SetEntry seal_one(PlannedModel& model, const audit::Txn& txn) {
    const fs::path there = wanted_.output_folder / model.file.path;
    result_.models.push_back(
        {model.file.path, model.kept.has_value(), model.plan->sealed_segments(), model.plan->readable});
    if (model.kept) {
      const Fd kept = open_to_read(there);
      if (model_digest(kept) != *model.kept)
        throw Error(ErrorKind::Io, there.string() + " changed while this run was at work");
      return {model.file.path, seal::SetKind::Model, file_size(kept), *model.kept};
    }
    AtomicFile output(there, wanted_.existing);
    reserve(output.fd(), model.plan->size());
    seal_logged(appliance_, mek_, *model.plan, {{"set", txn.seq}}, output.fd(),
                [&](std::uint64_t done, std::uint64_t) { tell(done); });
    const seal::SetEntry entry{model.file.path, seal::SetKind::Model, file_size(output.fd()),
                               model_digest(output.fd())};
    site::after_result("the model is sealed", "go on with --skip-existing", [&] { output.commit(); });
    done_ += file_size(model.input);
    model.plan.reset();
    model.input = Fd();
    return entry;
  }

  seal::SetEntry copy_one(const FolderFile& file) {
    const Fd input = open_to_read(file.file);
    const seal::SetEntry entry{file.path, seal::SetKind::File, file_size(input), file_digest(input)};
    if (is_copied(file, input)) return entry;
    AtomicFile output(wanted_.output_folder / file.path, wanted_.existing);
    seal::copy_whole(input, output.fd(), entry.size);
    if (file_digest(output.fd()) != entry.digest)
      throw Error(ErrorKind::Io, file.file.string() + " changed while this run was at work");
    output.commit();
    done_ += entry.size;
    tell(0);
    return entry;
  }

  void tell(std::uint64_t of_this) const {
    if (progress_) progress_(std::min(done_ + of_this, total_), total_);
  }

  site::Appliance& appliance_;
  const keys::Mek& mek_;
  const SealSetOptions& options_;
  SealModelOptions wanted_;
  const seal::Progress& progress_;
  std::deque<PlannedModel> models_;  // plans refer to their inputs
  std::uint64_t total_ = 0, done_ = 0;
  std::map<std::string, Sha256Digest> approved_;  // of the files that are copied, where officers were asked
  SealSetResult result_;
};

}  // namespace

SealSetResult seal_set(site::Appliance& appliance, const keys::Mek& mek, const SealSetOptions& options,
                       const seal::Progress& progress) {
  mek::refuse_replaced(appliance.log().state(), mek);
  appliance.refuse_wrap_only(mek);
  if (!options.model.reports.empty())
    throw Error(ErrorKind::Usage, "a set is sealed unbound",
                "leave --pub-keys out; 'qpcseal encrypt-with-session-keys' binds the set");
  if (options.skip_existing && options.model.existing == Existing::Replace)
    throw Error(ErrorKind::Usage, "give --skip-existing or --force, not both");
  return SetSealing(appliance, mek, options, progress).run();
}

}  // namespace qpcseal::models
