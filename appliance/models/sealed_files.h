// SPDX-License-Identifier: Apache-2.0
// Sealed containers on disk: one, or all of a folder; and where they go once they are bound.
#pragma once

#include <filesystem>
#include <vector>

#include "appliance/audit/state.h"
#include "appliance/seal/bind.h"
#include "appliance/seal/reader.h"
#include "base/error.h"
#include "base/file.h"
#include "base/file_set.h"

namespace qpcseal::release {

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

// What was sealed elsewhere is not bound here: the log must name every manifest, and the appliance's seal key
// must have signed it. Error{Denied}; before a challenge is used up.
void require_sealed_here(const std::vector<SealedFile>& files, const audit::State& state);

// Shares the bytes of `file` with `output`, or takes the room for a copy. Error{Io} where there is none. Of
// shared bytes the pages with slots still need room when they are written.
void make_room(const SealedFile& file, const Fd& output);
// Binds a copy of `file` into `output`, an empty file.
void bind_to(const SealedFile& file, const std::vector<seal::Slots>& slots, const Fd& output);
// Binds each of `files` in place, in their order, after all are known to have room for `slots`. An error on
// the way tells in its hint how many are bound.
void bind_all_in_place(const std::vector<SealedFile>& files, const std::vector<seal::Slots>& slots);
// Error{Io} where they cannot be bound in place: better to say so before a challenge is used up.
void require_writable(const std::vector<SealedFile>& files);

}  // namespace qpcseal::release
