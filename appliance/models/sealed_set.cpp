// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/sealed_set.h"

#include <algorithm>

#include "appliance/keys/spki.h"
#include "appliance/models/folder_files.h"
#include "appliance/seal/bind.h"
#include "appliance/seal/layout.h"
#include "base/error.h"
#include "base/file_digest.h"
#include "base/file_name.h"

namespace qpcseal::models {

namespace {

constexpr std::uint64_t kSmallFile = std::uint64_t{1} << 20U;  // bytes: up to here several are one batch

Error unfit(const std::string& path, const std::string& why) {
  return {ErrorKind::Malformed, "the set's '" + path + "' " + why,
          "copy the set again from where it was sealed"};
}

void check_entry(const seal::SetEntry& entry, const std::filesystem::path& path) {
  if (!is_name_taken(path)) throw unfit(entry.path, "is missing");
  const Fd file = open_to_read(path);
  if (file_size(file) != entry.size) throw unfit(entry.path, "has another size than when it was sealed");
  const Sha256Digest digest =
      entry.kind == seal::SetKind::Model
          ? with_context("'" + entry.path + "' of the set", [&] { return model_digest(file); })
          : file_digest(file);
  if (digest != entry.digest) throw unfit(entry.path, "is not the one that was sealed");
}

void make_folders(const seal::SetManifest& manifest, const std::filesystem::path& output,
                  OutputSet& outputs) {
  for (const seal::SetEntry& entry : manifest.entries)
    for (const std::string& dir : folders_above(entry.path)) outputs.dir(output / dir);
}

}  // namespace

std::optional<SealedSet> read_set(const std::filesystem::path& dir) {
  const std::filesystem::path path = dir / seal::kSetName;
  if (!is_name_taken(path)) return std::nullopt;
  return with_context(path.string(), [&]() -> std::optional<SealedSet> {
    SealedSet out;
    out.signed_set = seal::parse_signed_set(read_file(path, seal::kMaxSet));
    out.manifest = seal::parse_set_manifest(out.signed_set.manifest);
    return out;
  });
}

void check_set(const SealedSet& set, const std::filesystem::path& dir) {
  const auto& entries = set.manifest.entries;
  for (const seal::SetEntry& entry : entries) check_entry(entry, dir / entry.path);
  for (const FolderFile& file : files_below(dir)) {
    if (!file.is_qpc) continue;
    const auto found = std::ranges::lower_bound(entries, file.path, {}, &seal::SetEntry::path);
    if (found == entries.end() || found->path != file.path || found->kind != seal::SetKind::Model)
      throw unfit(file.path, "is a QPC that seal.set does not list as a model");
  }
}

void require_signed_here(const SealedSet& set, const Bytes& seal_key) {
  const Sha256Digest digest = sha256(set.signed_set.manifest);
  if (!keys::verify_with_spki(seal_key, seal::set_message(digest), set.signed_set.signature))
    throw Error(ErrorKind::Denied, "seal.set is not signed by this appliance",
                "the appliance that sealed the set binds it");
}

void copy_rest_of_set(const SealedSet& set, const std::filesystem::path& dir,
                      const std::filesystem::path& output, OutputSet& outputs) {
  make_folders(set.manifest, output, outputs);
  for (const seal::SetEntry& entry : set.manifest.entries) {
    if (entry.kind == seal::SetKind::Model) continue;
    const Fd source = open_to_read(dir / entry.path);
    if (entry.size > kSmallFile) {
      seal::copy_whole(source, outputs.file(output / entry.path), entry.size);
      continue;
    }
    Bytes content(entry.size);
    read_exact(source, content, 0);
    outputs.write(output / entry.path, ByteView(content));
  }
  outputs.write(output / seal::kSetName, ByteView(seal::encode_signed_set(set.signed_set)));
}

Sha256Digest model_digest(const Fd& file) { return sha256(seal::SealedContainer::read(file).manifest()); }

}  // namespace qpcseal::models
