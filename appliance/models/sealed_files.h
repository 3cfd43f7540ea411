// SPDX-License-Identifier: Apache-2.0
// Sealed containers on disk, one file, all of a folder, or a set, and their binding.
#pragma once

#include <filesystem>
#include <vector>

#include "appliance/audit/state.h"
#include "appliance/models/sealed_set.h"
#include "appliance/seal/bind.h"
#include "appliance/seal/reader.h"
#include "base/error.h"
#include "base/file.h"
#include "base/file_set.h"

namespace qpcseal::models {

struct SealedFile {
  std::filesystem::path path;
  std::filesystem::path name;  // below the folder that was given; its output's name too
  Fd fd;
  seal::SealedTree tree;

  [[nodiscard]] std::size_t parts() const { return tree.loads().size(); }
  [[nodiscard]] bool bound() const;  // any part of it
};

// What a command was given. Of a set `files` are all of its containers.
struct SealedInput {
  std::vector<SealedFile> files;
  std::optional<SealedSet> set;
  std::filesystem::path dir;  // of the set
};

// A file, a set's folder, or all QPC files below another folder, at any depth, by name; names that begin with
// a dot are left out, and so is `output_folder`. Where that is empty, files are bound in place, and a binding
// that was cut short is completed first. Error{Malformed} for one that is not sealed, and for a set that is
// not whole; Error{Io} for a folder without any.
SealedInput open_sealed(const std::filesystem::path& path, const std::filesystem::path& output_folder);

// Error{Denied} where one of them is sealed under another MEK.
void require_mek(const std::vector<SealedFile>& files, const Bytes& mek_id, const std::string& label);

// Error{Denied} for a container that was sealed elsewhere: the log must have every manifest, and the
// appliance's seal key must have signed it. Call it before a challenge is used up.
void require_sealed_here(const std::vector<SealedFile>& files, const audit::State& state);
// The same, and the seal key must have signed a set's list.
void require_sealed_here(const SealedInput& input, const audit::State& state);

// Shares the bytes of `file` with `output`, or reserves the space of a copy. Error{Io} where there is none.
// Slot pages of shared bytes still need space when they are written.
void make_room(const SealedFile& file, const Fd& output);
// Binds a copy of `file` into `output`, an empty file.
void bind_to(const SealedFile& file, const std::vector<seal::Slots>& slots, const Fd& output);
// Binds each of `files` in place, in their order, after a check that all have space for `slots`. The hint of
// an error says how many are bound.
void bind_all_in_place(const std::vector<SealedFile>& files, const std::vector<seal::Slots>& slots);
// Error{Io} where they cannot be bound in place. Call it before a challenge is used up.
void require_writable(const std::vector<SealedFile>& files);

}  // namespace qpcseal::models
