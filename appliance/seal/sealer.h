// SPDX-License-Identifier: Apache-2.0
// Seals a QPC: encrypts the chosen segments, hashes all of them, adds manifest, tag, signature and empty
// slots. Streams: memory depends on the number of threads, not on the size of the file.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "appliance/seal/format.h"
#include "appliance/seal/key_handle.h"
#include "appliance/seal/layout.h"
#include "appliance/seal/manifest.h"
#include "appliance/seal/seal_options.h"
#include "base/random.h"
#include "qpc/container.h"

namespace qpcseal::seal {

struct SealResult {
  Bytes seal_id;  // 16
  Sha256Digest manifest_digest{};
  std::uint64_t encryptions = 0;  // made under the MEK
  std::uint64_t slot_page = 0;    // position in the output
  std::uint64_t file_size = 0;
};

// Error{Malformed} for a container that is sealed already or holds reserved names.
void check_plain(const qpc::Container& container);

// How many encryptions under the MEK sealing will make: what the log must count before they happen.
std::uint64_t encryptions_needed(const qpc::Container& container, const SealOptions& options);

// Where everything will lie, counted from the container's begin.
Layout planned_layout(const qpc::Container& container, const SealOptions& options);

// Bytes of the input done, of all; called from the calling thread, about ten times a second.
using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;

// Reads `input` once and writes the whole container into `output` from options.begin on; it may not have
// bytes behind that. Error{Malformed} for a container that holds reserved names, is sealed already or lacks a
// segment to be sealed.
SealResult seal(const Fd& input, const qpc::Container& container, const SealOptions& options, KeyHandle& key,
                SealSigner& signer, Random& random, const Fd& output, const Progress& progress = {});

}  // namespace qpcseal::seal
