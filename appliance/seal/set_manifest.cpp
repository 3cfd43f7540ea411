// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/set_manifest.h"

#include <algorithm>

#include "appliance/seal/format.h"
#include "appliance/seal/manifest.h"
#include "base/error.h"
#include "base/utf8.h"
#include "encoding/cbor.h"

namespace qpcseal::seal {

namespace {

constexpr std::string_view kSetText = "qpcseal/set/1";
constexpr std::size_t kSetId = 16, kSetMembers = 7, kEntryMembers = 4, kMaxPart = 255;

Error bad_set(const std::string& why) {
  return {ErrorKind::Malformed, "set manifest: " + why, "it was changed, or cut short, after it was sealed"};
}

const cbor::Value& set_member(const cbor::Value& map, std::int64_t key) {
  const cbor::Value* value = map.find(key);
  if (value == nullptr) throw bad_set("member " + std::to_string(key) + " is missing");
  return *value;
}

Bytes set_id(const cbor::Value& value) {
  const ByteView bytes = value.as_bytes("set id");
  if (bytes.size() != kSetId) throw bad_set("an id has 16 bytes");
  return copy(bytes);
}

SetEntry parse_entry(const cbor::Value& value) {
  const auto& items = value.as_array("file of a set");
  if (items.size() != kEntryMembers) throw bad_set("a file has four members");
  SetEntry out;
  out.path = items[0].as_text("path");
  if (!is_set_path(out.path)) throw bad_set("a path that no file of a set has");
  const std::uint64_t kind = items[1].as_unsigned("kind");
  out.size = items[2].as_unsigned("size");
  const ByteView digest = items[3].as_bytes("digest");
  if (kind > 1 || digest.size() != out.digest.size())
    throw bad_set("'" + out.path + "' has an unknown kind or digest");
  out.kind = static_cast<SetKind>(kind);
  std::ranges::copy(digest, out.digest.begin());
  return out;
}

void check_entries(const std::vector<SetEntry>& entries) {
  for (std::size_t i = 1; i < entries.size(); ++i)
    if (entries[i].path <= entries[i - 1].path) throw bad_set("its paths are not in their order, each once");
  const auto models = std::ranges::count(entries, SetKind::Model, &SetEntry::kind);
  if (entries.size() > kMaxSetFiles || models == 0 || static_cast<std::size_t>(models) > kMaxSetModels)
    throw bad_set("it has no sealed model, more than 256 of them, or more than 10000 files");
}

}  // namespace

bool is_set_path(std::string_view path) {
  if (path.empty() || path.size() > kMaxSetPath || path == kSetName || !is_utf8(path)) return false;
  const auto is_control = [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; };
  if (std::ranges::any_of(path, is_control)) return false;
  while (true) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part.size() > kMaxPart || part.front() == '.') return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

Bytes encode_set_manifest(const SetManifest& manifest) {
  cbor::Writer out;
  out.map(kSetMembers).unsigned_(1).text(kSetText);
  out.unsigned_(2).bytes(manifest.set_id).unsigned_(3).bytes(manifest.mek_id);
  out.unsigned_(4).integer(manifest.created).unsigned_(5).text(manifest.name);
  out.unsigned_(6).unsigned_(manifest.version).unsigned_(7).array(manifest.entries.size());
  for (const SetEntry& entry : manifest.entries)
    out.array(kEntryMembers)
        .text(entry.path)
        .unsigned_(static_cast<std::uint64_t>(entry.kind))
        .unsigned_(entry.size)
        .bytes(entry.digest);
  return out.take();
}

SetManifest parse_set_manifest(ByteView bytes) {
  const cbor::Value root = cbor::parse_large(bytes, cbor::Level::Deterministic, "set manifest", kMaxSet);
  if (root.as_map("set manifest").size() != kSetMembers ||
      set_member(root, 1).as_text("set manifest type") != kSetText)
    throw bad_set("not \"" + std::string(kSetText) + "\"");
  SetManifest out;
  out.set_id = set_id(set_member(root, 2));
  out.mek_id = set_id(set_member(root, 3));
  out.created = static_cast<UnixTime>(set_member(root, 4).as_unsigned("created") & INT64_MAX);
  out.name = set_member(root, 5).as_text("name");
  out.version = set_member(root, 6).as_unsigned("version");
  if (out.name.empty() || out.name.size() > kMaxModelName) throw bad_set("its name has 1 to 128 bytes");
  for (const cbor::Value& entry : set_member(root, 7).as_array("files"))
    out.entries.push_back(parse_entry(entry));
  check_entries(out.entries);
  return out;
}

Bytes encode_signed_set(const SignedSet& set) {
  cbor::Writer out;
  out.array(2).bytes(set.manifest).bytes(set.signature);
  return out.take();
}

SignedSet parse_signed_set(ByteView bytes) {
  const cbor::Value root = cbor::parse_large(bytes, cbor::Level::Deterministic, "seal.set", kMaxSet);
  const auto& items = root.as_array("seal.set");
  if (items.size() != 2) throw bad_set("seal.set is a manifest and its signature");
  SignedSet out{copy(items[0].as_bytes("set manifest")), copy(items[1].as_bytes("signature"))};
  if (out.signature.size() != kSignatureSize) throw bad_set("a signature has 64 bytes");
  return out;
}

Bytes set_message(const Sha256Digest& manifest_digest) {
  Bytes out = copy(view(kSetText));
  out.push_back(0);
  append(out, manifest_digest);
  return out;
}

}  // namespace qpcseal::seal
