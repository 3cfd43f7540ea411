// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <optional>

#include "appliance/keys/mek.h"
#include "appliance/keys/mek_list.h"
#include "base/error.h"
#include "base/nearest.h"
#include "pkcs11/uri.h"

namespace qpcseal::keys {

namespace {

// `name`: nothing but its generations; empty: any. A token reads a key's file for each attribute, so that the
// id is asked for last.
std::optional<Mek> mek_of(pkcs11::Session& session, CK_OBJECT_HANDLE handle, std::string_view name) {
  const pkcs11::Object object{handle, "key"};
  const auto label = session.attribute(object, CKA_LABEL);
  if (!label) return std::nullopt;
  const std::string_view text = text_view(*label);
  const std::size_t hash = text.rfind('#');
  if (hash == std::string_view::npos || !is_name(text.substr(0, hash))) return std::nullopt;
  if (!name.empty() && text.substr(0, hash) != name) return std::nullopt;
  const auto generation = parse_generation(text.substr(hash + 1));
  if (!generation) return std::nullopt;
  const auto id = session.attribute(object, CKA_ID);
  if (!id || id->size() != kMekIdSize) return std::nullopt;
  return Mek{{handle, "key '" + std::string(text) + "'"},
             std::string(text),
             std::string(text.substr(0, hash)),
             *generation,
             *id};
}

}  // namespace

std::optional<Mek> mek_from(pkcs11::Session& session, CK_OBJECT_HANDLE handle) {
  return mek_of(session, handle, {});
}

void sort_meks(std::vector<Mek>& meks) {
  std::sort(meks.begin(), meks.end(), [](const Mek& a, const Mek& b) {
    return std::tie(a.name, a.generation, a.id) < std::tie(b.name, b.generation, b.id);
  });
}

namespace {

// For what is no key in the token: the vendor's tool takes the key as a file.
void refuse_file(const std::string& reference) {
  std::error_code ignored;
  const bool file = reference.find('/') != std::string::npos || reference.ends_with(".dat") ||
                    std::filesystem::is_regular_file(reference, ignored);
  if (!file) return;
  throw Error(ErrorKind::Malformed, "--mek '" + reference + "' is a file: here a MEK is a key in the token",
              "name the key by its label; a MEK file of the vendor's tool comes in by 'qpcseal mek import'");
}

Error unknown_mek(const std::string& what) {
  return Error(ErrorKind::Token, what + ": no such MEK in the token",
               "'qpcseal mek list' shows what there is")
      .with_code(kUnknownMek);
}

// Labels and names, for what was probably meant.
std::vector<std::string> known_names(pkcs11::Session& session) {
  std::vector<std::string> out;
  for (const Mek& mek : list_meks(session)) {
    out.push_back(mek.label);
    out.push_back(mek.name);
  }
  return out;
}

template <typename Matches>
Mek only_one(std::vector<Mek> all, const std::string& what, Matches matches) {
  std::erase_if(all, [&](const Mek& mek) { return !matches(mek); });
  if (all.size() == 1) return std::move(all.front());
  if (all.empty()) throw unknown_mek(what);
  std::string list;
  for (const Mek& mek : all) list += (list.empty() ? "" : ", ") + mek.label + " (id " + to_hex(mek.id) + ")";
  throw Error(ErrorKind::Token, what + ": " + std::to_string(all.size()) + " keys match: " + list,
              "name one as label#generation, or by pkcs11:id=...");
}

bool matches_uri(const pkcs11::KeyUri& uri, const pkcs11::TokenInfo& token, const Mek& mek) {
  const auto same = [](const std::optional<std::string>& wanted, const std::string& found) {
    return !wanted || *wanted == found;
  };
  return same(uri.token, token.label) && same(uri.serial, token.serial) && same(uri.model, token.model) &&
         same(uri.manufacturer, token.manufacturer) && same(uri.object, mek.label) &&
         (!uri.id || *uri.id == mek.id);
}

// Those that have what `wanted` asks for as well (calls C_FindObjects). It stands first in the template:
// SoftHSM compares in its order and opens each object for each attribute, up to the first that differs.
std::vector<Mek> meks_with(pkcs11::Session& session, pkcs11::Template wanted, std::string_view name = {}) {
  wanted.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_AES).flag(CKA_TOKEN, true);
  std::vector<Mek> out;
  for (const CK_OBJECT_HANDLE handle : session.find(wanted))
    if (auto mek = mek_of(session, handle, name)) out.push_back(std::move(*mek));
  sort_meks(out);
  return out;
}

std::vector<Mek> meks_of(pkcs11::Session& session, const pkcs11::KeyUri& uri) {
  pkcs11::Template wanted;
  if (uri.id) wanted.bytes(CKA_ID, *uri.id);
  if (uri.object) wanted.text(CKA_LABEL, *uri.object);
  return meks_with(session, wanted);
}

}  // namespace

std::vector<Mek> list_meks(pkcs11::Session& session) { return meks_with(session, {}); }

Mek find_mek(pkcs11::Session& session, const std::string& reference) {
  const std::string what = "MEK '" + reference + "'";
  if (pkcs11::is_uri(reference)) {
    const pkcs11::KeyUri uri = pkcs11::parse_uri(reference);
    return only_one(meks_of(session, uri), what,
                    [&](const Mek& mek) { return matches_uri(uri, session.token(), mek); });
  }
  const bool is_label = reference.find('#') != std::string::npos;
  std::vector<Mek> all = is_label ? meks_with(session, pkcs11::Template().text(CKA_LABEL, reference))
                                  : meks_with(session, {}, reference);
  if (all.empty()) {
    refuse_file(reference);
    throw with_nearest(unknown_mek(what), reference, known_names(session));
  }
  const std::uint64_t newest = all.back().generation;
  return only_one(std::move(all), what, [&](const Mek& mek) {
    return is_label ? mek.label == reference : mek.generation == newest;
  });
}

Mek find_mek_by_id(pkcs11::Session& session, ByteView id) {
  return only_one(meks_with(session, pkcs11::Template().bytes(CKA_ID, id)), "MEK with id " + to_hex(id),
                  [&](const Mek& mek) { return equal(mek.id, id); });
}

}  // namespace qpcseal::keys
