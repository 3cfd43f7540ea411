// SPDX-License-Identifier: Apache-2.0
#include "device/loader/loaded_set.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/utf8.h"
#include "device/loader/crypto.h"
#include "device/loader/loaded_container.h"
#include "encoding/cbor.h"

namespace qpcseal::device {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostBytes = std::size_t{16} << 20U, kMostFiles = 10000, kMostModels = 256,
                      kMostPath = 1024;
constexpr std::size_t kPieceOfFile = std::size_t{1} << 20U;  // bytes

[[noreturn]] void refuse_set(const std::string& why) {
  throw Error(ErrorKind::Denied, "set refused: " + why);
}

struct FileOfSet {
  bool model = false;
  std::uint64_t size = 0;
  Bytes digest;
};

struct SetList {
  std::string name;
  Bytes mek_id;
  std::map<std::string, FileOfSet> files;  // by path
};

const cbor::Value& set_value(const cbor::Value& map, std::int64_t key) {
  const cbor::Value* value = map.find(key);
  if (value == nullptr) refuse_set("its list lacks a member");
  return *value;
}

// Below the set's folder, whatever it says.
bool is_path_of_set(const std::string& path) {
  if (path.empty() || path.size() > kMostPath || path == "seal.set" || !is_utf8(path)) return false;
  std::size_t length = 0;
  for (std::size_t i = 0; i <= path.size(); ++i) {
    if (i == path.size() || path[i] == '/') {
      if (length == 0 || length > 255) return false;
      length = 0;
      continue;
    }
    const auto byte = static_cast<unsigned char>(path[i]);
    if (byte < 0x20 || byte == 0x7f || (length == 0 && byte == '.')) return false;
    ++length;
  }
  return true;
}

SetList parse_list(ByteView bytes) {
  const cbor::Value map = cbor::parse_large(bytes, cbor::Level::Deterministic, "set", kMostBytes);
  if (map.as_map("set").size() != 7 || set_value(map, 1).as_text("type") != "qpcseal/set/1")
    refuse_set("its list is of another kind");
  SetList out;
  static_cast<void>(set_value(map, 2).as_bytes("set id"));
  out.mek_id = copy(set_value(map, 3).as_bytes("MEK id"));
  static_cast<void>(set_value(map, 4).as_unsigned("created"));
  out.name = set_value(map, 5).as_text("name");
  static_cast<void>(set_value(map, 6).as_unsigned("version"));
  std::string before;
  std::size_t models = 0;
  for (const cbor::Value& item : set_value(map, 7).as_array("files")) {
    const auto& parts = item.as_array("file");
    if (parts.size() != 4) refuse_set("its list has a file of another form");
    const std::string path(parts[0].as_text("path"));
    const std::uint64_t kind = parts[1].as_unsigned("kind");
    if (!is_path_of_set(path) || path <= before || kind > 1) refuse_set("its list has a file that none is");
    before = path;
    models += kind;
    out.files[path] = {kind == 1, parts[2].as_unsigned("size"), copy(parts[3].as_bytes("digest"))};
  }
  if (models == 0 || models > kMostModels || out.files.size() > kMostFiles)
    refuse_set("it has no model, or too many files");
  return out;
}

SetList read_list(const fs::path& path, const Card& card) {
  const Bytes bytes = read_file(path, kMostBytes);
  try {
    const cbor::Value pair = cbor::parse_large(bytes, cbor::Level::Deterministic, "set", kMostBytes);
    const auto& parts = pair.as_array("set");
    if (parts.size() != 2) refuse_set("seal.set is no list with a signature");
    const ByteView list = parts[0].as_bytes("list"), signature = parts[1].as_bytes("signature");
    Bytes message = copy(view(std::string_view("qpcseal/set/1\0", 14)));
    append(message, sha256(list));
    if (signature.size() != 64 || (card.seal_key && !verify_seal(card.seal_key.get(), message, signature)))
      refuse_set("seal.set does not have this appliance's signature");
    return parse_list(list);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed) throw;
    refuse_set(error.what());
  }
}

Bytes digest_of_file(const Fd& file, std::uint64_t size) {
  Sha256 hash;
  Bytes piece(kPieceOfFile);
  for (std::uint64_t at = 0; at < size; at += piece.size()) {
    const MutableBytes part = MutableBytes(piece).first(std::min<std::uint64_t>(piece.size(), size - at));
    read_exact(file, part, at);
    hash.update(part);
  }
  return copy(hash.finish());
}

void check_file(const fs::path& dir, const std::string& path, const FileOfSet& listed, const Bytes& mek_id) {
  if (!fs::is_regular_file(fs::symlink_status(dir / path))) refuse_set("'" + path + "' is missing");
  const Fd file = open_to_read(dir / path);
  if (file_size(file) != listed.size) refuse_set("'" + path + "' has another size");
  if (listed.model) {
    const SealedContainer root = read_sealed(file, 0, listed.size);
    if (copy(sha256(root.manifest)) != listed.digest || root.mek_id != mek_id)
      refuse_set("'" + path + "' is not the model that was sealed");
  } else if (digest_of_file(file, listed.size) != listed.digest) {
    refuse_set("'" + path + "' is not the file that was sealed");
  }
}

// A container that the list does not have is none of this set.
void refuse_others(const fs::path& dir, const SetList& list) {
  for (const auto& item : fs::recursive_directory_iterator(dir)) {
    if (!item.is_regular_file() || item.is_symlink()) continue;
    const Fd file = open_to_read(item.path());
    const std::string path = item.path().lexically_relative(dir).generic_string();
    const auto found = list.files.find(path);
    if (qpc::is_qpc(file, 0, file_size(file)) && (found == list.files.end() || !found->second.model))
      refuse_set("'" + path + "' is a container that its list does not have");
  }
}

}  // namespace

bool is_set(const fs::path& dir) { return fs::is_regular_file(fs::symlink_status(dir / "seal.set")); }

LoadedSet load_set(const fs::path& dir, std::span<const Card> cards, const std::optional<fs::path>& out,
                   Existing existing) {
  if (cards.empty()) throw Error(ErrorKind::Usage, "no card was given");
  const SetList list = read_list(dir / "seal.set", cards.front());
  for (const auto& [path, file] : list.files) check_file(dir, path, file, list.mek_id);
  refuse_others(dir, list);
  LoadedSet loaded{list.name, {}, 0};
  for (const auto& [path, file] : list.files) {
    if (!file.model) {
      ++loaded.others;
      continue;
    }
    with_context("'" + path + "'", [&] {
      std::optional<fs::path> plain;
      if (out) {
        plain = *out / path;
        fs::create_directories(plain->parent_path());
      }
      loaded.models.emplace_back(path, load(dir / path, cards, plain, existing));
    });
  }
  return loaded;
}

}  // namespace qpcseal::device
