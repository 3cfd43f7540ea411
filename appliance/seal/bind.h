// SPDX-License-Identifier: Apache-2.0
// Binding: puts wrapped MEKs into the slot pages of a sealed container, and nothing else. The model's bytes
// do not pass through this program.
#pragma once

#include <filesystem>
#include <vector>

#include "appliance/seal/reader.h"
#include "appliance/seal/slots.h"
#include "base/file.h"

namespace qpcseal::seal {

// A wrapped MEK and the page that it goes to.
struct Binding {
  std::uint64_t slot_page = 0;  // position in the file
  Slots slots;
};

// One wrapped MEK for each container that a card loads, in their order. Error{Usage} for another number.
std::vector<Binding> bindings_for(const SealedTree& tree, const std::vector<Slots>& slots);

// Writes `bound` (empty) as a copy of the container at `source` with these slots. The bytes are shared
// (FICLONE) where the file system can, else copied by the kernel.
void bind_copy(const Fd& source, std::uint64_t size, const std::vector<Binding>& bindings, const Fd& bound);

// Writes the pages alone.
void write_slots(const Fd& file, const std::vector<Binding>& bindings);
inline void write_slots(const Fd& file, std::uint64_t slot_page, const Slots& slots) {
  write_slots(file, {{slot_page, slots}});
}

// Binds the container of that name in place. Where the file system can share bytes and the file has no other
// name, a clone with the new slots takes its name: whatever happens, the file is bound as before or anew.
// Elsewhere the one page of a model of one part is written into the file itself, in one go, while a journal
// (.NAME.rebind, FORMAT.md section 2.5) says what it is to be: a process that is killed leaves the page as it
// was or as it is to be; after a power failure finish_binding makes good. Neither depends on the file's size.
// Of a model of several partitions, whose pages cannot change at once, a copy takes the name. Error{Io} where
// another process binds it, or a file of several partitions has other names. `begun` is set where the new
// binding may be there although an error comes.
void bind_in_place(const std::filesystem::path& path, const SealedTree& tree,
                   const std::vector<Binding>& bindings, bool& begun);

// Completes what a run that ended in the middle of bind_in_place left. False: there was nothing to complete.
// Error{Malformed} for a journal of another container.
bool finish_binding(const std::filesystem::path& path);
std::filesystem::path journal_path(const std::filesystem::path& path);

// Shares or copies `size` bytes; true where they are shared.
bool copy_whole(const Fd& from, const Fd& to, std::uint64_t size);
bool clone_whole(const Fd& from, const Fd& to);

}  // namespace qpcseal::seal
