// SPDX-License-Identifier: Apache-2.0
#include <span>

#include "appliance/models/seal_model.h"
#include "appliance/models/sealed_files.h"
#include "base/error.h"

namespace qpcseal::models {

namespace {

using encoding::Json;

constexpr std::size_t kMaxContainers = 256;  // one log entry names all of them

// Whether a run that was cut short bound `file` with the very keys that it wrapped for these reports: the
// same command goes on with it.
bool is_bound_by(const SealedFile& file, const std::vector<release::Report>& reports,
                 const site::PendingWraps& pending) {
  const auto loads = file.tree.loads();
  for (std::size_t i = 0; i < loads.size(); ++i) {
    const auto slots = loads[i]->slots();
    const keys::WrappedMek* wrapped = pending.find(reports[i].digest);
    if (slots &&
        (wrapped == nullptr || *slots != seal::Slots{wrapped->encrypt, wrapped->nonce, wrapped->pub}))
      return false;
  }
  return true;
}

SealedInput open_all(const site::Appliance& appliance, const keys::Mek& mek,
                     const BindModelOptions& options) {
  SealedInput input = open_sealed(options.input_folder, options.output_folder);
  const std::vector<SealedFile>& files = input.files;
  if (files.size() > kMaxContainers)
    throw Error(ErrorKind::Usage,
                options.input_folder.string() + " holds " + std::to_string(files.size()) +
                    " containers; one release binds at most " + std::to_string(kMaxContainers),
                "release the key by 'wrap-mek', and bind any number by 'replace-mek'");
  require_mek(files, mek.id, mek.label);
  require_sealed_here(input, appliance.log().state());
  const site::PendingWraps pending(appliance.home(), appliance.log().state());
  for (const SealedFile& file : files) {
    if (file.parts() != options.reports.size())
      throw Error(ErrorKind::Usage,
                  file.path.string() + " has " + std::to_string(file.parts()) +
                      (file.parts() == 1 ? " part" : " partitions") + ", and there are " +
                      std::to_string(options.reports.size()) + " reports",
                  "give one report for each, in the order of the partitions");
    if (!options.rebind && !is_bound_by(file, options.reports, pending))
      throw Error(ErrorKind::Usage, file.path.string() + " is bound to a card already",
                  "--force binds it anew; the old binding is then gone");
  }
  return input;
}

// What one card got, over these containers.
std::vector<Json> acts_of(std::span<const SealedFile> files, std::size_t cards) {
  std::vector<Json> out;
  for (std::size_t card = 0; card < cards; ++card) {
    Json containers = Json::array();
    for (const SealedFile& file : files)
      containers.push_back({{"seal_id", to_hex(file.tree.root().manifest.seal_id)},
                            {"manifest_sha256", sha256_hex(file.tree.root().container.manifest())},
                            {"partition", card}});
    out.push_back({{"containers", std::move(containers)}});
  }
  return out;
}

std::vector<seal::Slots> slots_of(const std::vector<release::Grant>& grants) {
  std::vector<seal::Slots> out;
  for (const release::Grant& grant : grants) out.push_back(grant.slots());
  return out;
}

}  // namespace

BoundModel bind_model(site::Appliance& appliance, const keys::Mek& mek, const BindModelOptions& options) {
  return with_context("binding '" + options.input_folder.string() + "'", [&] {
    const SealedInput input = open_all(appliance, mek, options);
    const std::vector<SealedFile>& files = input.files;
    const bool in_place = options.output_folder.empty();
    OutputSet outputs(options.existing);
    if (in_place) {
      require_writable(files);
    } else {
      outputs.dir(options.output_folder);
      if (input.set) copy_rest_of_set(*input.set, input.dir, options.output_folder, outputs);
    }
    BoundModel model;
    std::vector<const Fd*> targets;
    for (const SealedFile& file : files) {
      model.outputs.push_back(in_place ? file.path : options.output_folder / file.name);
      if (in_place) continue;
      outputs.dir(model.outputs.back().parent_path());
      targets.push_back(&outputs.file(model.outputs.back()));
      with_context(model.outputs.back().string(), [&] { make_room(file, *targets.back()); });
    }
    const release::ReleaseApproval approval(appliance, mek, release::digests_of(options.reports));
    release::Transaction release(appliance, mek, options.reports, approval,
                                 release::Transaction::Mode::AllOrNone);
    const std::vector<seal::Slots> slots = slots_of(release.wrap());
    if (in_place) {
      // The key has left: a binding that stops half-way leaves the intent open, and the same command goes on.
      bind_all_in_place(files, slots);
    } else {
      for (std::size_t i = 0; i < files.size(); ++i) bind_to(files[i], slots, *targets[i]);
      outputs.sync();
    }
    release.commit(acts_of(files, slots.size()));
    release::publish(outputs);
    model.grants = release.grants();
    return model;
  });
}

}  // namespace qpcseal::models
