#include <algorithm>
#include <filesystem>
#include <optional>

#include "appliance/keys/mek.h"
#include "appliance/keys/mek_list.h"
#include "base/error.h"
#include "pkcs11/uri.h"

namespace qpcseal::keys {

std::optional<Mek> mek_from(pkcs11::Session& session, CK_OBJECT_HANDLE handle) {
  const pkcs11::Object object{handle, "key"};
  const auto label = session.attribute(object, CKA_LABEL);
  const auto id = session.attribute(object, CKA_ID);
  if (!label || !id || id->size() != kMekIdSize) return std::nullopt;
  const std::string_view text = text_of(*label);
  const std::size_t hash = text.rfind('#');
  if (hash == std::string_view::npos || !is_name(text.substr(0, hash))) return std::nullopt;
  const auto generation = parse_generation(text.substr(hash + 1));
  if (!generation) return std::nullopt;
  return Mek{{handle, "key '" + std::string(text) + "'"},
             std::string(text),
             std::string(text.substr(0, hash)),
             *generation,
             *id};
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

template <typename Matches>
Mek only_one(std::vector<Mek> all, const std::string& what, Matches matches) {
  std::erase_if(all, [&](const Mek& mek) { return !matches(mek); });
  if (all.size() == 1) return std::move(all.front());
  if (all.empty())
    throw Error(ErrorKind::Token, what + ": no such MEK in the token",
                "'qpcseal mek list' shows what there is");
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

}  // namespace

std::vector<Mek> list_meks(pkcs11::Session& session) {
  pkcs11::Template wanted;
  wanted.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_AES).flag(CKA_TOKEN, true);
  std::vector<Mek> out;
  for (const CK_OBJECT_HANDLE handle : session.find(wanted))
    if (auto mek = mek_from(session, handle)) out.push_back(std::move(*mek));
  sort_meks(out);
  return out;
}

Mek find_mek(pkcs11::Session& session, const std::string& reference) {
  const std::string what = "MEK '" + reference + "'";
  if (pkcs11::is_uri(reference)) {
    const pkcs11::KeyUri uri = pkcs11::parse_uri(reference);
    return only_one(list_meks(session), what,
                    [&](const Mek& mek) { return matches_uri(uri, session.token(), mek); });
  }
  std::vector<Mek> all = list_meks(session);
  std::uint64_t newest = 0;
  for (const Mek& mek : all)
    if (mek.name == reference) newest = std::max(newest, mek.generation);
  const auto matches = [&](const Mek& mek) {
    return mek.label == reference || (mek.name == reference && mek.generation == newest);
  };
  if (std::ranges::none_of(all, matches)) refuse_file(reference);
  return only_one(std::move(all), what, matches);
}

Mek find_mek_by_id(pkcs11::Session& session, ByteView id) {
  return only_one(list_meks(session), "MEK with id " + to_hex(id),
                  [&](const Mek& mek) { return equal(mek.id, id); });
}

}  // namespace qpcseal::keys
