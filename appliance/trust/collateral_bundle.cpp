// SPDX-License-Identifier: Apache-2.0
#include "appliance/trust/collateral_bundle.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "encoding/file_kind.h"
#include "encoding/json.h"

namespace qpcseal::trust {

namespace {

using encoding::Json;

constexpr std::string_view kType = "qpcseal-collateral";
constexpr std::size_t kMaxItems = 64, kMaxRevoked = 100000, kMaxName = 128;

Error bad(const std::string& what) { return {ErrorKind::Malformed, "collateral bundle: " + what}; }

template <typename Text>
Json list_of(const std::vector<Bytes>& items, Text text) {
  Json out = Json::array();
  for (const Bytes& item : items) out.push_back(text(item));
  return out;
}

template <typename Read>
std::vector<Bytes> read_list(const Json& list, const char* what, std::size_t most, Read read) {
  if (!list.is_array() || list.size() > most)
    throw bad(std::string("'") + what + "' is no list, or too long");
  std::vector<Bytes> out;
  std::set<Bytes> seen;
  for (const Json& item : list) {
    if (!item.is_string()) throw bad(std::string("'") + what + "' holds something that is not a text");
    out.push_back(read(item.get<std::string>()));
    if (!seen.insert(out.back()).second) throw bad(std::string("'") + what + "' holds one thing twice");
  }
  return out;
}

bool is_plain(const std::string& name) {
  return !name.empty() && name.size() <= kMaxName &&
         std::ranges::all_of(name, [](char c) { return c >= ' ' && c <= '~'; });
}

std::map<std::string, std::vector<Bytes>> read_references(const Json& object) {
  if (!object.is_object()) throw bad("'references' is no object");
  std::map<std::string, std::vector<Bytes>> out;
  for (const auto& [name, digests] : object.items()) {
    if (!is_plain(name)) throw bad("a reference's name is not 1 to 128 printable characters");
    out[name] = read_list(digests, name.c_str(), kMaxItems, from_hex);
    for (const Bytes& digest : out[name])
      if (digest.size() != 32 && digest.size() != 48)
        throw bad("a digest of '" + name + "' has neither 32 nor 48 bytes");
    if (out[name].empty()) throw bad("'" + name + "' has no digest");
  }
  return out;
}

void check_items(const Collateral& bundle) {
  if (bundle.serial == 0) throw bad("its serial is 0");
  if (bundle.not_before >= bundle.not_after) throw bad("it is never fresh");
  if (bundle.roots.empty()) throw bad("it holds no root certificate");
  for (const Bytes& root : bundle.roots) with_context("collateral bundle: roots", [&] { check_root(root); });
  for (const Bytes& crl : bundle.crls) with_context("collateral bundle: crls", [&] { check_crl(crl); });
  with_context("collateral bundle", [&] { attest::check_lists(bundle.crls); });
  for (const Bytes& ueid : bundle.revoked_ueids)
    if (ueid.size() < 7 || ueid.size() > 33) throw bad("a revoked UEID does not have 7 to 33 bytes");
}

std::vector<TrustFile> named(const std::vector<Bytes>& items, const std::string& kind) {
  std::vector<TrustFile> out;
  for (std::size_t i = 0; i < items.size(); ++i)
    out.push_back({kind + " " + std::to_string(i + 1) + " of the bundle", items[i]});
  return out;
}

}  // namespace

std::string encode_collateral(const Collateral& bundle) {
  check_items(bundle);
  Json references = Json::object();
  for (const auto& [name, digests] : bundle.references)
    references[name] = list_of(digests, [](const Bytes& digest) { return to_hex(digest); });
  const Json out{
      {"type", kType},
      {"v", 1},
      {"serial", bundle.serial},
      {"not_before", format_time(bundle.not_before)},
      {"not_after", format_time(bundle.not_after)},
      {"roots", list_of(bundle.roots, [](const Bytes& der) { return to_base64(der); })},
      {"crls", list_of(bundle.crls, [](const Bytes& der) { return to_base64(der); })},
      {"references", std::move(references)},
      {"revoked_ueids", list_of(bundle.revoked_ueids, [](const Bytes& ueid) { return to_hex(ueid); })}};
  return encoding::canonical(out) + "\n";
}

namespace {

Collateral read_collateral(std::string_view text) {
  if (text.size() > kMaxCollateral) throw bad("more than 4 MiB");
  if (!text.ends_with('\n')) throw bad("it does not end with a line feed");
  const Json json = encoding::parse_canonical(text.substr(0, text.size() - 1), "collateral bundle");
  encoding::expect_keys(
      json,
      {"type", "v", "serial", "not_before", "not_after", "roots", "crls", "references", "revoked_ueids"},
      "collateral bundle");
  if (encoding::text_member(json, "type") != kType || encoding::uint_member(json, "v") != 1)
    throw bad("not one, or of a version that is not known");
  Collateral out;
  out.serial = encoding::uint_member(json, "serial");
  out.not_before = parse_time(encoding::text_member(json, "not_before"));
  out.not_after = parse_time(encoding::text_member(json, "not_after"));
  const auto base64 = [](const std::string& item) { return from_base64(item); };
  out.roots = read_list(json.at("roots"), "roots", kMaxItems, base64);
  out.crls = read_list(json.at("crls"), "crls", kMaxItems, base64);
  out.references = read_references(json.at("references"));
  out.revoked_ueids = read_list(json.at("revoked_ueids"), "revoked_ueids", kMaxRevoked, from_hex);
  if (encode_collateral(out) != text) throw bad("it is not in its one written form");
  return out;
}

}  // namespace

Collateral parse_collateral(std::string_view text) {
  return encoding::as_kind(view(text), "a collateral bundle", [&] { return read_collateral(text); });
}

std::string show_collateral(const Collateral& bundle) {
  std::ostringstream out;
  out << "Collateral bundle number " << bundle.serial << ", fresh from " << format_time(bundle.not_before)
      << " to " << format_time(bundle.not_after) << ".\n";
  for (const Bytes& root : bundle.roots)
    out << "root certificate " << describe_root(root) << "\n  SHA-256 " << sha256_hex(root) << "\n";
  for (const Bytes& crl : bundle.crls)
    out << "revocation list " << describe_crl(crl) << "\n  SHA-256 " << sha256_hex(crl) << "\n";
  for (const auto& [name, digests] : bundle.references) {
    out << "reference measurement '" << name << "', one of:\n";
    for (const Bytes& digest : digests) out << "  " << to_hex(digest) << "\n";
  }
  for (const Bytes& ueid : bundle.revoked_ueids) out << "revoked card " << to_hex(ueid) << "\n";
  if (bundle.revoked_ueids.empty()) out << "no card is revoked\n";
  return out.str();
}

Trust make_trust(const Collateral& bundle, const Sha256Digest& digest) {
  Trust trust;
  trust.roots = named(bundle.roots, "root");
  trust.crls = named(bundle.crls, "CRL");
  trust.digest = digest;
  trust.collateral = {
      true, bundle.serial, bundle.not_before, bundle.not_after, bundle.revoked_ueids, bundle.references};
  return trust;
}

Trust read_collateral_trust(const std::filesystem::path& file, const std::string& digest) {
  const std::string text = read_text_file(file, kMaxCollateral);
  const Sha256Digest found = sha256(view(text));
  if (to_hex(found) != digest)
    throw Error(ErrorKind::Denied, file.string() + " is not the collateral bundle in the log: found " +
                                       to_hex(found) + ", logged " + digest);
  return make_trust(parse_collateral(text), found);
}

}  // namespace qpcseal::trust
