// Binding: puts wrapped MEKs into the slot page of a sealed container, and nothing else.
#pragma once

#include "appliance/seal/layout.h"
#include "appliance/seal/slots.h"
#include "base/file.h"

namespace qpcseal::seal {

// Writes `bound` as a copy of the container at `source` with these slots. The bytes are shared (FICLONE) or
// copied by the kernel where the file system can; they do not pass through this program.
void bind_copy(const Fd& source, const SealedContainer& container, const Slots& slots, const Fd& bound);

// Writes the page alone.
void write_slots(const Fd& file, std::uint64_t slot_page, const Slots& slots);

}  // namespace qpcseal::seal
