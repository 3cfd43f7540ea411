// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/wrapped_meks.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file_name.h"
#include "encoding/file_kind.h"
#include "encoding/json.h"

namespace qpcseal::models {

namespace {

using Ordered = nlohmann::ordered_json;
using encoding::Json;

constexpr const char* kFormat = "qpcseal/wrapped-meks/1";
constexpr std::size_t kMaxConfig = std::size_t{16} << 20, kMaxCards = 20000, kNonce = 32, kId = 16;
constexpr std::size_t kMaxName = 200;  // bytes of a folder's name; file systems take 255
constexpr const char* kNames[] = {"MEK.encrypt", "MEK.nonce", "MEK.pub"};

// Letters, digits, '.', '_' and '-', so that a host's name can be a part of a file's.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '.' || c == '_' || c == '-';
    out += good ? c : '_';
  }
  if (!out.empty() && out.front() == '.') out.front() = '_';
  return out;
}

bool is_plain(const std::string& name) { return !name.empty() && name.size() <= 255 && plain(name) == name; }

Ordered as_json(const WrappedFor& card, const std::string& dir) {
  return {{"folder", dir},
          {"host", card.host.empty() ? Ordered(nullptr) : Ordered(card.host)},
          {"device", card.device ? Ordered(*card.device) : Ordered(nullptr)},
          {"ueid", to_hex(card.ueid)},
          {"suite", card.suite},
          {"report_sha256", to_hex(card.report_digest)},
          {"nonce", to_hex(card.slots.nonce)},
          {"wrapped_sha256", sha256_hex(card.slots.encrypt)},
          {"pub_sha256", sha256_hex(card.slots.pub)},
          {"receipt", {{"entry", card.entry}}}};
}

std::string config_text(const keys::Mek& mek, Ordered wrapped) {
  const Ordered config{
      {"format", kFormat}, {"mek_id", to_hex(mek.id)}, {"mek", mek.label}, {"wrapped", std::move(wrapped)}};
  return config.dump(2, ' ', false, Ordered::error_handler_t::replace) + "\n";
}

void refuse_file(const std::filesystem::path& path) {
  if (is_name_taken(path)) throw exists_error(path);
}

seal::Slots read_slots(const std::filesystem::path& dir) {
  const auto read = [&](const char* name) { return read_file(dir / name, seal::kMaxSlotContent); };
  return {read(kNames[0]), read(kNames[1]), read(kNames[2])};
}

Json parse_config(const std::filesystem::path& path) {
  const Bytes bytes = read_file(path, kMaxConfig);
  Json config = encoding::as_kind(bytes, "config.json of wrapped MEKs",
                                  [&] { return encoding::parse_json(text_view(bytes), path.string()); });
  return with_context(path.string(), [&] {
    encoding::expect_keys(config, {"format", "mek_id", "mek", "wrapped"}, "config");
    if (encoding::text_member(config, "format") != kFormat)
      throw Error(ErrorKind::Malformed, "not of format " + std::string(kFormat));
    const Json& wrapped = encoding::member(config, "wrapped");
    if (!wrapped.is_array() || wrapped.empty() || wrapped.size() > kMaxCards)
      throw Error(ErrorKind::Malformed, "it names no wrapped MEK, or too many");
    return std::move(config);
  });
}

Sha256Digest digest_member(const Json& object, const char* key) {
  Sha256Digest out{};
  const Bytes bytes = from_hex(encoding::hex_member(object, key, out.size()));
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

WrappedFor card_of(const Json& item) {
  encoding::expect_keys(item,
                        {"folder", "host", "device", "ueid", "suite", "report_sha256", "nonce",
                         "wrapped_sha256", "pub_sha256", "receipt"},
                        "wrapped");
  WrappedFor card;
  card.dir = encoding::text_member(item, "folder");
  if (card.dir != kHere && !is_plain(card.dir))
    throw Error(ErrorKind::Malformed, "a folder with a name that no card's has");
  if (!encoding::member(item, "host").is_null()) card.host = encoding::text_member(item, "host");
  if (!encoding::member(item, "device").is_null()) card.device = encoding::uint_member(item, "device");
  card.ueid = from_hex(encoding::text_member(item, "ueid"));
  card.suite = encoding::text_member(item, "suite");
  card.report_digest = digest_member(item, "report_sha256");
  card.entry = encoding::uint_member(encoding::member(item, "receipt"), "entry");
  return card;
}

// The files are those that config.json names: a set that was cut short or mixed up is found here.
void check_files(const WrappedFor& card, const Json& item, const Bytes& mek_id) {
  const auto head = seal::parse_wrap_head(card.slots.encrypt);
  if (!head) throw Error(ErrorKind::Malformed, "MEK.encrypt is no wrapped MEK");
  const bool same = sha256(card.slots.encrypt) == digest_member(item, "wrapped_sha256") &&
                    sha256(card.slots.pub) == digest_member(item, "pub_sha256") &&
                    to_hex(card.slots.nonce) == encoding::hex_member(item, "nonce", kNonce);
  if (!same)
    throw Error(ErrorKind::Malformed, "its files are not those that config.json names",
                "it was cut short or mixed with another; run 'qpcseal wrap-mek' again");
  if (head->mek_id != mek_id)
    throw Error(ErrorKind::Malformed, "MEK.encrypt holds another MEK than config.json says");
}

void add_folder(WrappedSet& set, const std::filesystem::path& dir, bool whole = true) {
  const Json config = parse_config(dir / kConfigName);
  const Bytes mek_id = from_hex(encoding::hex_member(config, "mek_id", kId));
  if (!set.cards.empty() && mek_id != set.mek_id)
    throw Error(ErrorKind::Denied,
                dir.string() + " holds a wrapped MEK of another id than the folder before it");
  set.mek_id = mek_id;
  set.mek = encoding::text_member(config, "mek");
  for (const Json& item : encoding::member(config, "wrapped")) {
    WrappedFor card = with_context((dir / kConfigName).string(), [&] { return card_of(item); });
    const std::filesystem::path place = card.dir == kHere ? dir : dir / card.dir;
    try {
      with_context(place.string(), [&] {
        card.slots = read_slots(place);
        check_files(card, item, mek_id);
      });
    } catch (const Error& error) {
      const bool is_gone =
          std::ranges::any_of(kNames, [&](auto name) { return !is_name_taken(place / name); });
      if (whole || (error.kind() == ErrorKind::Io && !is_gone)) throw;
      continue;
    }
    if (card.dir == kHere) card.dir = std::filesystem::absolute(dir).lexically_normal().filename();
    if (card.dir.empty()) card.dir = "card-" + to_hex(card.ueid);
    set.cards.push_back(std::move(card));
  }
}

}  // namespace

std::string folded(std::string name) {
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return name;
}

std::vector<std::string> folder_names(const std::vector<CardName>& cards) {
  std::vector<std::string> out;
  std::map<std::string, unsigned> uses;
  for (const CardName& card : cards) {
    const bool placed = !card.host.empty() && card.device.has_value();
    const std::string name = placed ? plain(card.host) + "-" + std::to_string(*card.device) : "";
    out.push_back(placed && name.size() <= kMaxName ? name : "card-" + to_hex(card.ueid));
    ++uses[folded(out.back())];
  }
  for (std::size_t i = 0; i < cards.size(); ++i)
    if (uses[folded(out[i])] > 1) out[i] = "card-" + to_hex(cards[i].ueid);
  return out;
}

std::vector<std::pair<std::string, Bytes>> card_files(const keys::Mek& mek, const WrappedFor& card) {
  const std::string config = config_text(mek, Ordered::array({as_json(card, kHere)}));
  return {{kNames[0], card.slots.encrypt},
          {kNames[1], card.slots.nonce},
          {kNames[2], card.slots.pub},
          {kConfigName, copy(view(config))}};
}

std::string index_text(const keys::Mek& mek, const std::vector<WrappedFor>& cards) {
  Ordered all = Ordered::array();
  for (const WrappedFor& card : cards) all.push_back(as_json(card, card.dir));
  return config_text(mek, std::move(all));
}

std::optional<std::filesystem::path> find_other_file(const std::filesystem::path& dir) {
  std::error_code error;
  if (!std::filesystem::is_directory(std::filesystem::symlink_status(dir, error))) return dir;
  std::filesystem::directory_iterator items(dir, error);
  if (error) return dir;
  for (const auto& item : items) {
    const std::string name = item.path().filename();
    const bool ours = name == kConfigName || std::ranges::find(kNames, name) != std::end(kNames);
    if (!ours || !std::filesystem::is_regular_file(item.symlink_status())) return item.path();
  }
  return std::nullopt;
}

void refuse_taken_folder(const std::filesystem::path& dir, Existing existing) {
  if (existing == Existing::Refuse) refuse_file(dir);
  if (!is_name_taken(dir)) return;
  if (const auto other = find_other_file(dir))
    throw Error(ErrorKind::Io, other->string() + " is in the way: the folder is to be replaced",
                "move it away, or name another output");
}

void refuse_existing(const std::filesystem::path& output, const std::vector<std::string>& folders) {
  refuse_file(output / kConfigName);
  for (const std::string& dir : folders) {
    refuse_file(output / dir / kConfigName);
    for (const char* name : kNames) refuse_file(output / dir / name);
  }
}

void write_wrapped(OutputSet& out, const std::filesystem::path& output, const keys::Mek& mek,
                   const std::vector<WrappedFor>& cards) {
  out.dir(output);
  for (const WrappedFor& card : cards) {
    const bool here = card.dir == kHere;
    const std::filesystem::path dir = here ? output : output / card.dir;
    if (!here) out.dir(dir);
    for (const auto& [name, bytes] : card_files(mek, card))
      if (!here || name != kConfigName) out.write(dir / name, bytes);
  }
  out.write(output / kConfigName, index_text(mek, cards));
}

WrappedSet read_index(const std::filesystem::path& output) {
  WrappedSet set;
  add_folder(set, output, false);
  return set;
}

WrappedSet read_wrapped(const std::vector<std::filesystem::path>& folders) {
  WrappedSet set;
  for (const std::filesystem::path& dir : folders) {
    if (!is_name_taken(dir / kConfigName))
      throw Error(ErrorKind::Io, dir.string() + " has no config.json, so it is no folder of wrapped MEKs",
                  "'qpcseal wrap-mek' makes one; config.json appears last, when all of it is complete");
    add_folder(set, dir);
  }
  if (set.cards.empty()) throw Error(ErrorKind::Usage, "no folder of wrapped MEKs was given");
  return set;
}

}  // namespace qpcseal::models
