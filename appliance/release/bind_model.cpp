#include <exception>
#include <span>

#include "appliance/release/model.h"
#include "appliance/release/sealed_files.h"
#include "base/error.h"

namespace qpcseal::release {

namespace {

using audit::Json;

constexpr std::size_t kMaxContainers = 256;  // one log entry names all of them

std::vector<SealedFile> open_all(const keys::Mek& mek, const BindWish& wish) {
  std::vector<SealedFile> files = open_sealed(wish.input_folder, wish.output_folder.empty());
  if (files.size() > kMaxContainers)
    throw Error(ErrorKind::Usage,
                wish.input_folder.string() + " holds " + std::to_string(files.size()) +
                    " containers; one release binds at most " + std::to_string(kMaxContainers),
                "release the key by 'wrap-mek', and bind any number by 'replace-mek'");
  require_mek(files, mek.id, mek.label);
  for (const SealedFile& file : files) {
    if (file.parts() != wish.reports.size())
      throw Error(ErrorKind::Usage,
                  file.path.string() + " has " + std::to_string(file.parts()) +
                      (file.parts() == 1 ? " part" : " partitions") + ", and there are " +
                      std::to_string(wish.reports.size()) + " reports",
                  "give one report for each, in the order of the partitions");
    if (file.bound() && !wish.rebind)
      throw Error(ErrorKind::Usage, file.path.string() + " is bound to a card already",
                  "--force binds it anew; the old binding is then gone");
  }
  return files;
}

// What one card got, over these containers.
std::vector<Json> acts_of(std::span<const SealedFile> files, std::size_t cards) {
  std::vector<Json> out;
  for (std::size_t card = 0; card < cards; ++card) {
    Json containers = Json::array();
    for (const SealedFile& file : files)
      containers.push_back({{"seal_id", to_hex(file.tree.root().manifest.seal_id)},
                            {"manifest_sha256", to_hex(sha256(file.tree.root().container.manifest()))},
                            {"partition", card}});
    out.push_back({{"containers", std::move(containers)}});
  }
  return out;
}

std::vector<seal::Slots> slots_of(const std::vector<Grant>& grants) {
  std::vector<seal::Slots> out;
  for (const Grant& grant : grants) out.push_back(grant.slots());
  return out;
}

}  // namespace

BoundModel bind_model(Appliance& appliance, const keys::Mek& mek, const BindWish& wish) {
  return with_context("binding '" + wish.input_folder.string() + "'", [&] {
    const std::vector<SealedFile> files = open_all(mek, wish);
    const bool in_place = wish.output_folder.empty();
    OutputSet outputs(wish.existing);
    if (in_place) {
      require_writable(files);
    } else {
      outputs.folder(wish.output_folder);
    }
    BoundModel model;
    std::vector<const Fd*> targets;
    for (const SealedFile& file : files) {
      model.outputs.push_back(in_place ? file.path : wish.output_folder / file.path.filename());
      if (in_place) continue;
      targets.push_back(&outputs.file(model.outputs.back()));
      with_context(model.outputs.back().string(), [&] { make_room(file, *targets.back()); });
    }
    std::exception_ptr stopped;
    model.grants = release(appliance, mek, wish.reports, [&](const std::vector<Grant>& grants) {
      std::size_t bound = 0;
      bool begun = false;
      try {
        for (; bound < files.size(); ++bound) {
          begun = false;
          if (in_place) {
            bind_in_place(files[bound], slots_of(grants), begun);
          } else {
            bind_to(files[bound], slots_of(grants), *targets[bound]);
          }
        }
      } catch (const Error& error) {
        bound += begun ? 1 : 0;
        if (bound == 0 || !in_place) throw;
        stopped = std::make_exception_ptr(
            stopped_in_place(error, bound, files.size()));  // the key has left: the log is to say so
      }
      return acts_of(std::span(files).first(bound), grants.size());
    });
    if (stopped) std::rethrow_exception(stopped);
    outputs.commit();
    return model;
  });
}

}  // namespace qpcseal::release
