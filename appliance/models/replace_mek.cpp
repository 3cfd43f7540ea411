// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/replace_mek.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace qpcseal::models {

namespace {

void refuse_repeated(const WrappedSet& wrapped) {
  std::set<Bytes> seen;
  for (const WrappedFor& card : wrapped.cards)
    if (!seen.insert(card.slots.encrypt).second)
      throw Error(ErrorKind::Usage, "the wrapped MEK for card " + to_hex(card.ueid) + " is given twice");
}

std::vector<seal::Slots> slots_of(const WrappedSet& wrapped) {
  std::vector<seal::Slots> out;
  for (const WrappedFor& card : wrapped.cards) out.push_back(card.slots);
  return out;
}

std::vector<std::string> ueids_of(const WrappedSet& wrapped) {
  std::vector<std::string> out;
  for (const WrappedFor& card : wrapped.cards) out.push_back(to_hex(card.ueid));
  return out;
}

// Containers of one part, several cards: a folder for each card with all of them.
void bind_for_each(const SealedInput& input, const WrappedSet& wrapped, const std::filesystem::path& output,
                   OutputSet& outputs, ReplaceResult& result) {
  std::set<std::string> folders;
  for (const WrappedFor& card : wrapped.cards) {
    if (!folders.insert(card.dir).second)
      throw Error(ErrorKind::Usage, "two folders of wrapped MEKs are named '" + card.dir + "'");
    const std::filesystem::path dir = output / card.dir;
    outputs.dir(dir);
    if (input.set) copy_rest_of_set(*input.set, input.dir, dir, outputs);
    for (const SealedFile& file : input.files) {
      outputs.dir((dir / file.name).parent_path());
      bind_to(file, {card.slots}, outputs.file(dir / file.name));
      result.outputs.push_back({dir / file.name, {to_hex(card.ueid)}});
    }
  }
}

// All containers of the folder are for the same cards.
void bind_all(const SealedInput& input, const WrappedSet& wrapped, const ReplaceMekOptions& options,
              ReplaceResult& result) {
  OutputSet outputs(options.existing);
  outputs.dir(options.output_folder);
  const auto is_whole = [](const SealedFile& file) { return file.parts() == 1; };
  if (wrapped.cards.size() > 1 && std::ranges::all_of(input.files, is_whole)) {
    bind_for_each(input, wrapped, options.output_folder, outputs, result);
  } else {
    if (input.set) copy_rest_of_set(*input.set, input.dir, options.output_folder, outputs);
    for (const SealedFile& file : input.files) {
      const std::filesystem::path name = options.output_folder / file.name;
      outputs.dir(name.parent_path());
      bind_to(file, slots_of(wrapped), outputs.file(name));
      result.outputs.push_back({name, ueids_of(wrapped)});
    }
  }
  outputs.commit();
}

void replace_in_place(const std::vector<SealedFile>& files, const WrappedSet& wrapped,
                      ReplaceResult& result) {
  bind_all_in_place(files, slots_of(wrapped));
  for (const SealedFile& file : files) result.outputs.push_back({file.path, ueids_of(wrapped)});
}

}  // namespace

ReplaceResult replace_meks(const ReplaceMekOptions& options, const std::optional<KnownReleases>& known) {
  const WrappedSet wrapped = read_wrapped(options.wrapped);
  refuse_repeated(wrapped);
  if (known) known->require(wrapped);
  const bool in_place = options.output_folder.empty();
  const SealedInput input = open_sealed(options.sealed, options.output_folder);
  const std::vector<SealedFile>& files = input.files;
  require_mek(files, wrapped.mek_id, wrapped.mek);
  if (known) require_sealed_here(input, known->state());
  ReplaceResult result;
  result.log_checked = known.has_value();
  if (in_place) {
    replace_in_place(files, wrapped, result);
  } else {
    bind_all(input, wrapped, options, result);
  }
  return result;
}

}  // namespace qpcseal::models
