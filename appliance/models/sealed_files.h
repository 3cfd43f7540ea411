// SPDX-License-Identifier: Apache-2.0
// Sealed containers on disk, one file or all of a folder, and their binding.
#pragma once

#include <filesystem>
#include <vector>

#include "appliance/audit/state.h"
#include "appliance/seal/bind.h"
#include "appliance/seal/reader.h"
#include "base/error.h"
#include "base/file.h"
#include "base/file_set.h"

namespace qpcseal::models {

struct SealedFile {
  std::filesystem::path path;
  Fd fd;
  seal::SealedTree tree;

  [[nodiscard]] std::size_t parts() const { return tree.loads().size(); }
  [[nodiscard]] bool bound() const;  // any part of it
};

// A file, or all QPC files directly in a folder, by name; names that begin with a dot are left out. With
// `finish` a binding that was cut short is completed first. Error{Malformed} for one that is not sealed,
// Error{Io} for a folder without any.
std::vector<SealedFile> open_sealed(const std::filesystem::path& path, bool finish);

// Error{Denied} where one of them is sealed under another MEK.
void require_mek(const std::vector<SealedFile>& files, const Bytes& mek_id, const std::string& label);

// Error{Denied} for a container that was sealed elsewhere: the log must have every manifest, and the
// appliance's seal key must have signed it. Call it before a challenge is used up.
void require_sealed_here(const std::vector<SealedFile>& files, const audit::State& state);

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
