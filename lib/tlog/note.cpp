// SPDX-License-Identifier: Apache-2.0
#include "tlog/note.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/digest.h"
#include "base/error.h"

namespace qpcseal::tlog {

namespace {

constexpr std::string_view kDash = "\xE2\x80\x94 ";  // U+2014 and a space
constexpr std::size_t kMaxSignatures = 16;
constexpr std::size_t kEd25519KeySize = 32;
constexpr std::size_t kMaxSpkiSize = 128;

using Pkey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Error malformed_note(const std::string& what) { return {ErrorKind::Malformed, what}; }

bool is_p256(const EVP_PKEY* key) {
  char group[32];
  std::size_t size = 0;
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
         EVP_PKEY_get_group_name(key, group, sizeof group, &size) == 1 &&
         std::string_view(group, size) == "prime256v1";
}

// Re-encoding must give the same bytes: one key has one id.
bool encodes_to(const EVP_PKEY* key, ByteView der) {
  unsigned char* out = nullptr;
  const int size = i2d_PUBKEY(key, &out);
  const bool same = size > 0 && equal({out, static_cast<std::size_t>(size)}, der);
  OPENSSL_free(out);
  return same;
}

Pkey load_key(KeyType type, ByteView key) {
  Pkey loaded(nullptr, EVP_PKEY_free);
  if (type == KeyType::Ed25519 && key.size() == kEd25519KeySize) {
    loaded.reset(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()));
  } else if (type == KeyType::EcdsaP256 && key.size() <= kMaxSpkiSize) {
    const unsigned char* at = key.data();
    loaded.reset(d2i_PUBKEY(nullptr, &at, static_cast<long>(key.size())));
    if (loaded && (!is_p256(loaded.get()) || !encodes_to(loaded.get(), key))) loaded.reset();
  }
  ERR_clear_error();
  if (!loaded) throw malformed_note("not a public key of the type that it claims (Ed25519 or ECDSA P-256)");
  return loaded;
}

// Takes the text up to `mark` off the front; nothing where the mark is missing.
std::optional<std::string_view> cut(std::string_view& text, char mark) {
  const std::size_t at = text.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view front = text.substr(0, at);
  text.remove_prefix(at + 1);
  return front;
}

NoteSignature parse_signature(std::string_view line) {
  if (!line.starts_with(kDash))
    throw malformed_note("signed note: a signature line does not begin with a dash");
  line.remove_prefix(kDash.size());
  const auto name = cut(line, ' ');
  if (!name || !is_key_name(*name)) throw malformed_note("signed note: a signature without a key name");
  const Bytes blob = from_base64(line);
  NoteSignature out{*name, {}, {}};
  if (blob.size() <= out.id.size()) throw malformed_note("signed note: a signature is too short");
  std::copy_n(blob.begin(), out.id.size(), out.id.begin());
  out.signature.assign(blob.begin() + out.id.size(), blob.end());
  return out;
}

}  // namespace

bool is_key_name(std::string_view name) {
  const auto allowed = [](char c) { return c > ' ' && c < '\x7F' && c != '+'; };
  return !name.empty() && name.size() <= 128 && std::all_of(name.begin(), name.end(), allowed);
}

VerifierKey::VerifierKey(std::string name, KeyType type, Bytes key)
    : name_(std::move(name)), type_(type), key_(std::move(key)) {
  if (!is_key_name(name_)) throw malformed_note("verification key: bad name");
  with_context("verification key", [&] { load_key(type_, key_); });
}

VerifierKey VerifierKey::parse(std::string_view vkey) {
  const auto name = cut(vkey, '+');
  const auto id = cut(vkey, '+');
  if (!name || !id) throw malformed_note("verification key: not of the form name+id+key");
  const Bytes blob = with_context("verification key", [&] { return from_base64(vkey); });
  if (blob.empty() || (blob[0] != 1 && blob[0] != 2)) throw malformed_note("verification key: unknown type");
  VerifierKey key(std::string(*name), static_cast<KeyType>(blob[0]), Bytes(blob.begin() + 1, blob.end()));
  if (to_hex(key.id()) != *id) throw malformed_note("verification key: its id does not belong to it");
  return key;
}

std::string VerifierKey::text() const {
  Bytes blob{static_cast<std::uint8_t>(type_)};
  append(blob, key_);
  return name_ + "+" + to_hex(id()) + "+" + to_base64(blob);
}

std::array<std::uint8_t, 4> VerifierKey::id() const {
  Bytes input;
  if (type_ == KeyType::Ed25519) {
    append(input, name_);
    append(input, std::string_view("\n\x01", 2));
  }
  append(input, key_);
  const Sha256Digest digest = sha256(input);
  return {digest[0], digest[1], digest[2], digest[3]};
}

bool VerifierKey::verify(ByteView message, ByteView signature) const {
  const Pkey key = load_key(type_, key_);
  const DigestContext context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const EVP_MD* digest = type_ == KeyType::Ed25519 ? nullptr : EVP_sha256();
  if (!context || EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key.get()) != 1)
    throw Error(ErrorKind::Internal, "OpenSSL cannot verify signatures of this type");
  const bool good = EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                                     message.size()) == 1;
  ERR_clear_error();
  return good;
}

std::string sign_note(std::string_view text, const VerifierKey& key, Signer& signer) {
  if (!text.ends_with('\n') || text.starts_with('\n') || text.find("\n\n") != std::string_view::npos)
    throw Error(ErrorKind::Internal, "signed note: text of a shape that notes cannot have");
  const Bytes signature = signer.sign(view(text));
  if (!key.verify(view(text), signature))
    throw Error(ErrorKind::Token, "the log key made a signature that its verification key does not accept",
                "the token's log key is not the one that this log began with");
  Bytes blob = copy(key.id());
  append(blob, signature);
  return std::string(text) + "\n" + std::string(kDash) + key.name() + " " + to_base64(blob) + "\n";
}

Note parse_note(std::string_view note) {
  const std::size_t gap = note.find("\n\n");
  if (gap == std::string_view::npos || gap == 0 || !note.ends_with('\n'))
    throw malformed_note("signed note: not a text, an empty line and signatures");
  Note out{note.substr(0, gap + 1), {}};
  for (std::string_view rest = note.substr(gap + 2); !rest.empty();) {
    if (out.signatures.size() == kMaxSignatures) throw malformed_note("signed note: too many signatures");
    out.signatures.push_back(parse_signature(*cut(rest, '\n')));
  }
  return out;
}

std::string_view open_note(std::string_view note, const VerifierKey& key) {
  const Note parts = parse_note(note);
  bool good = false;
  for (const NoteSignature& one : parts.signatures) {
    if (one.name != key.name() || one.id != key.id()) continue;
    if (good) throw malformed_note("signed note: the same key signs twice");
    good = key.verify(view(parts.text), one.signature);
    if (!good) throw Error(ErrorKind::LogDamaged, "the signature of " + key.name() + " does not verify");
  }
  if (!good) throw Error(ErrorKind::LogDamaged, "not signed by " + key.name() + "+" + to_hex(key.id()));
  return parts.text;
}

}  // namespace qpcseal::tlog
