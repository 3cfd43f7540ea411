// SPDX-License-Identifier: Apache-2.0
#include "appliance/keys/signing.h"

#include <algorithm>
#include <array>
#include <set>

#include "appliance/keys/contents.h"
#include "appliance/keys/spki.h"
#include "base/digest.h"
#include "base/error.h"
#include "pkcs11/probe.h"

namespace qpcseal::keys {

namespace {

using pkcs11::Object;
using pkcs11::Session;
using pkcs11::Template;

constexpr std::size_t kRawSignature = 64, kEd25519Key = 32, kP256Point = 65;  // bytes
// PKCS #11 v3.0 section 2.3.5 allows the curve's name or its OID; tokens know one or the other.
constexpr std::array<std::uint8_t, 5> kEd25519Oid{0x06, 0x03, 0x2b, 0x65, 0x70};
constexpr std::array<std::uint8_t, 14> kEd25519Name{0x13, 0x0c, 'e', 'd', 'w', 'a', 'r',
                                                    'd',  's',  '2', '5', '5', '1', '9'};

std::string name_of(const std::string& label) { return "key '" + label + "'"; }

struct PairName {
  std::string label;
  ByteView id;  // CKA_ID
};

Session::Pair generate(Session& session, const PairName& name, CK_KEY_TYPE key_type,
                       CK_MECHANISM_TYPE mechanism, ByteView curve) {
  const auto& [label, id] = name;
  Template publics, privates;
  publics.number(CKA_CLASS, CKO_PUBLIC_KEY)
      .number(CKA_KEY_TYPE, key_type)
      .flag(CKA_TOKEN, true)
      .flag(CKA_VERIFY, true)
      .text(CKA_LABEL, label)
      .bytes(CKA_ID, id)
      .bytes(CKA_EC_PARAMS, curve);
  privates.number(CKA_CLASS, CKO_PRIVATE_KEY)
      .number(CKA_KEY_TYPE, key_type)
      .flag(CKA_TOKEN, true)
      .flag(CKA_PRIVATE, true)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_EXTRACTABLE, false)
      .flag(CKA_SIGN, true)
      .text(CKA_LABEL, label)
      .bytes(CKA_ID, id);
  return session.generate_pair({mechanism, nullptr, 0}, publics, privates, name_of(label));
}

Session::Pair generate_ed25519(Session& session, const PairName& name) {
  try {
    return generate(session, name, CKK_EC_EDWARDS, CKM_EC_EDWARDS_KEY_PAIR_GEN, kEd25519Oid);
  } catch (const Error&) {
    return generate(session, name, CKK_EC_EDWARDS, CKM_EC_EDWARDS_KEY_PAIR_GEN, kEd25519Name);
  }
}

Session::Pair generate_of_type(Session& session, const PairName& name, SigningType type) {
  if (type == SigningType::Ed25519) return generate_ed25519(session, name);
  return generate(session, name, CKK_EC, CKM_EC_KEY_PAIR_GEN, kP256Oid);
}

Bytes spki_of(Session& session, const Object& key, SigningType type) {
  const auto point = session.attribute(key, CKA_EC_POINT);
  if (!point)
    throw Error(ErrorKind::Token, "C_GetAttributeValue(" + key.name + "): the token gives no CKA_EC_POINT");
  if (type == SigningType::Ed25519) return ed25519_spki(unwrap_ec_point(*point, kEd25519Key));
  return p256_spki(unwrap_ec_point(*point, kP256Point));
}

Bytes sign_with(Session& session, const Object& key, SigningType type, ByteView spki, ByteView message) {
  Bytes signature = type == SigningType::Ed25519
                        ? session.sign({CKM_EDDSA, nullptr, 0}, key, message)
                        : session.sign({CKM_ECDSA, nullptr, 0}, key, sha256(message));
  if (signature.size() != kRawSignature || !verify_with_spki(spki, message, signature))
    throw Error(ErrorKind::Token,
                "C_Sign(" + key.name + "): the token gave a signature that does not verify");
  return signature;
}

bool can_sign(Session& session, SigningType type) {
  return pkcs11::probe(session, [&] {
    auto pair = generate_of_type(session, {std::string(kProbeLabel), view(kProbeLabel)}, type);
    const pkcs11::ScopedObject private_key(session, std::move(pair.private_key)),
        public_key(session, std::move(pair.public_key));
    sign_with(session, private_key.get(), type, spki_of(session, public_key.get(), type), view("probe"));
  });
}

Object only_one(Session& session, CK_OBJECT_CLASS kind, const std::string& label) {
  Template wanted;
  wanted.number(CKA_CLASS, kind).flag(CKA_TOKEN, true).text(CKA_LABEL, label);
  const auto found = session.find(wanted);
  if (found.size() == 1) return {found.front(), name_of(label)};
  throw Error(ErrorKind::Token,
              name_of(label) + ": " + (found.empty() ? "not in the token" : "more than one in the token"));
}

SigningType type_of(Session& session, const Object& key) {
  const auto type = session.number(key, CKA_KEY_TYPE);
  if (type == CKK_EC_EDWARDS) return SigningType::Ed25519;
  if (type == CKK_EC) return SigningType::EcdsaP256;
  throw Error(ErrorKind::Token, key.name + " is neither an Ed25519 nor an ECDSA key");
}

}  // namespace

std::optional<SigningType> probe_signing(Session& session) {
  for (const SigningType type : {SigningType::Ed25519, SigningType::EcdsaP256})
    if (can_sign(session, type)) return type;
  return std::nullopt;
}

std::string log_key_label(std::size_t generation) {
  return generation <= 1 ? kLogKeyLabel : kLogKeyLabel + std::string("#") + std::to_string(generation);
}

// A command that was cut short may have left one half of a pair.
std::vector<std::string> log_key_labels(Session& session) {
  std::set<std::string> out;
  for (const CK_OBJECT_CLASS kind : {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY}) {
    Template wanted;
    wanted.number(CKA_CLASS, kind).flag(CKA_TOKEN, true);
    for (const CK_OBJECT_HANDLE handle : session.find(wanted)) {
      const auto label = session.attribute({handle, "key"}, CKA_LABEL);
      if (!label) continue;
      const std::string text(text_view(*label));
      if (text == kLogKeyLabel || text.starts_with(kLogKeyLabel + std::string("#"))) out.insert(text);
    }
  }
  return {out.begin(), out.end()};
}

void destroy_signing_key(Session& session, const std::string& label) {
  for (const CK_OBJECT_CLASS kind : {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY}) {
    Template wanted;
    wanted.number(CKA_CLASS, kind).flag(CKA_TOKEN, true).text(CKA_LABEL, label);
    for (const CK_OBJECT_HANDLE handle : session.find(wanted)) session.destroy({handle, name_of(label)});
  }
}

bool has_signing_keys(Session& session) {
  Template wanted;
  wanted.flag(CKA_TOKEN, true).text(CKA_LABEL, kSealKeyLabel);
  return !session.find(wanted).empty() || !log_key_labels(session).empty();
}

Session::Pair generate_signing_key(Session& session, const std::string& label, SigningType type,
                                   ByteView id) {
  return generate_of_type(session, {label, id.empty() ? view(label) : id}, type);
}

SigningKey::SigningKey(Session& session, const std::string& label)
    : session_(session), private_key_(only_one(session, CKO_PRIVATE_KEY, label)) {
  type_ = type_of(session, private_key_);
  spki_ = spki_of(session, only_one(session, CKO_PUBLIC_KEY, label), type_);
}

Bytes SigningKey::sign(ByteView message) { return sign_with(session_, private_key_, type_, spki_, message); }

Bytes LogSigner::sign(ByteView message) {
  Bytes signature = key_.sign(message);
  return key_.type() == SigningType::Ed25519 ? signature : ecdsa_to_der(signature);
}

Bytes LogSigner::public_key() const {
  if (key_.type() == SigningType::EcdsaP256) return key_.spki();
  return Bytes(key_.spki().end() - kEd25519Key, key_.spki().end());
}

}  // namespace qpcseal::keys
