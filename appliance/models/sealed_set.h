// SPDX-License-Identifier: Apache-2.0
// A sealed set on disk: a folder with seal.set (FORMAT.md section 2.6).
#pragma once

#include <filesystem>
#include <optional>

#include "appliance/seal/set_manifest.h"
#include "base/digest.h"
#include "base/file_set.h"

namespace qpcseal::models {

struct SealedSet {
  seal::SignedSet signed_set;
  seal::SetManifest manifest;
};

// Nothing: the folder has no seal.set. Error{Malformed}.
std::optional<SealedSet> read_set(const std::filesystem::path& dir);

// Error{Malformed} naming the first of what does not fit: a file of the manifest that is missing or another,
// or a QPC that the manifest does not list. Reads all files but the containers, and of those the manifest;
// their data is for the card to check.
void check_set(const SealedSet& set, const std::filesystem::path& dir);

// Error{Denied} where the appliance whose seal key this is (DER) did not sign it.
void require_signed_here(const SealedSet& set, const Bytes& seal_key);

// The files that are no containers, and seal.set, into `output`, with the folders of all.
void copy_rest_of_set(const SealedSet& set, const std::filesystem::path& dir,
                      const std::filesystem::path& output, OutputSet& outputs);

// Of the root's manifest of a sealed container. Error{Malformed}.
Sha256Digest model_digest(const Fd& file);

}  // namespace qpcseal::models
