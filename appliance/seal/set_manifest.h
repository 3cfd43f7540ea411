// SPDX-License-Identifier: Apache-2.0
// The manifest of a set: a served model's folder, in which several containers lie beside files that a host
// reads (FORMAT.md section 2.6). It says which files the folder has; the seal key signs it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/digest.h"

namespace qpcseal::seal {

inline constexpr std::string_view kSetName = "seal.set";        // the file, at the top of the folder
inline constexpr std::size_t kMaxSetFiles = 10000;              // of a set
inline constexpr std::size_t kMaxSetModels = 256;               // of them sealed containers
inline constexpr std::size_t kMaxSetPath = 1024;                // bytes
inline constexpr std::size_t kMaxSet = std::size_t{16} << 20U;  // bytes of the file seal.set

enum class SetKind : std::uint8_t { File = 0, Model = 1 };

struct SetEntry {
  std::string path;  // from the folder on; see is_set_path
  SetKind kind = SetKind::File;
  std::uint64_t size = 0;  // of the file, bytes; binding does not change it
  Sha256Digest digest{};   // of a container its root's manifest, of another file all of it
  bool operator==(const SetEntry&) const = default;
};

struct SetManifest {
  Bytes set_id, mek_id;  // 16 each
  UnixTime created = 0;
  std::string name;  // 1 to 128 bytes; each container's manifest has it as the model's name
  std::uint64_t version = 0;
  std::vector<SetEntry> entries;  // by path, bytewise; each once
  bool operator==(const SetManifest&) const = default;
};

// The file seal.set.
struct SignedSet {
  Bytes manifest, signature;  // as encoded; 64
};

// 1 to 1024 bytes of UTF-8: parts of 1 to 255 bytes with '/' between, none of which begins with a dot; no
// control characters; not seal.set itself.
bool is_set_path(std::string_view path);

Bytes encode_set_manifest(const SetManifest& manifest);
// Deterministic CBOR with these members and no others; at least one container, at most as many files and
// containers as above. Error{Malformed}.
SetManifest parse_set_manifest(ByteView bytes);

Bytes encode_signed_set(const SignedSet& set);
SignedSet parse_signed_set(ByteView bytes);  // Error{Malformed}; the signature is not verified

// "qpcseal/set/1" 00 || SHA-256(manifest): what the seal key signs.
Bytes set_message(const Sha256Digest& manifest_digest);

}  // namespace qpcseal::seal
