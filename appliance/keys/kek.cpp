// SPDX-License-Identifier: Apache-2.0
#include "appliance/keys/kek.h"

#include <array>

#include "appliance/keys/spki.h"
#include "base/digest.h"
#include "base/error.h"

namespace qpcseal::keys {

namespace {

using pkcs11::Object;
using pkcs11::ScopedObject;
using pkcs11::Session;
using pkcs11::Template;
using pkcs11::unconst;

constexpr std::size_t kKek = 32;  // bytes
constexpr std::array<std::uint8_t, 7> kP384Oid{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};

// A secret AES-256 session key that can do one thing.
Template session_key(CK_ATTRIBUTE_TYPE use) {
  Template out;
  out.number(CKA_CLASS, CKO_SECRET_KEY)
      .number(CKA_KEY_TYPE, CKK_AES)
      .number(CKA_VALUE_LEN, kKek)
      .flag(CKA_TOKEN, false)
      .flag(CKA_PRIVATE, true)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_EXTRACTABLE, false);
  for (const CK_ATTRIBUTE_TYPE flag : {CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE})
    out.flag(flag, flag == use);
  return out;
}

CK_ECDH1_DERIVE_PARAMS ecdh(CK_ULONG kdf, ByteView shared, ByteView peer) {
  CK_ECDH1_DERIVE_PARAMS out{};
  out.kdf = kdf;
  out.ulSharedDataLen = shared.size();
  out.pSharedData = shared.empty() ? nullptr : unconst(shared);
  out.ulPublicDataLen = peer.size();
  out.pPublicData = unconst(peer);
  return out;
}

ScopedObject derive_x963(Session& session, const Object& key, ByteView peer, ByteView context,
                         CK_ATTRIBUTE_TYPE use) {
  auto params =
      ecdh(peer.size() == point_size(PeerType::P256) ? CKD_SHA256_KDF : CKD_SHA384_KDF, context, peer);
  return {session, session.derive({CKM_ECDH1_DERIVE, &params, sizeof(params)}, key, session_key(use), "KEK")};
}

ScopedObject derive_ecb(Session& session, const Object& key, ByteView peer, ByteView context,
                        CK_ATTRIBUTE_TYPE use) {
  auto params = ecdh(CKD_NULL, {}, peer);
  const ScopedObject z(session, session.derive({CKM_ECDH1_DERIVE, &params, sizeof(params)}, key,
                                               session_key(CKA_DERIVE), "shared secret"));
  Sha256Digest hash = sha256(context);
  CK_KEY_DERIVATION_STRING_DATA data{};
  data.pData = hash.data();
  data.ulLen = hash.size();
  return {session,
          session.derive({CKM_AES_ECB_ENCRYPT_DATA, &data, sizeof(data)}, z.get(), session_key(use), "KEK")};
}

Bytes point_of(Session& session, const Object& key, PeerType type) {
  const auto raw = session.attribute(key, CKA_EC_POINT);
  if (!raw)
    throw Error(ErrorKind::Token, "C_GetAttributeValue(" + key.name + "): the token gives no CKA_EC_POINT");
  Bytes point = unwrap_ec_point(*raw, point_size(type));
  if (!on_curve(point))
    throw Error(ErrorKind::Token, "C_GenerateKeyPair(" + key.name + "): the point is not on its curve");
  return point;
}

}  // namespace

std::size_t point_size(PeerType type) { return type == PeerType::P256 ? 65 : 97; }

EcPair make_ec_pair(Session& session, PeerType type, const std::optional<std::string>& label) {
  const bool token = label.has_value();
  Template publics, privates;
  publics.number(CKA_KEY_TYPE, CKK_EC).flag(CKA_TOKEN, token);
  if (type == PeerType::P256) {
    publics.bytes(CKA_EC_PARAMS, kP256Oid);
  } else {
    publics.bytes(CKA_EC_PARAMS, kP384Oid);
  }
  privates.number(CKA_KEY_TYPE, CKK_EC)
      .flag(CKA_TOKEN, token)
      .flag(CKA_PRIVATE, true)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_EXTRACTABLE, false)
      .flag(CKA_DERIVE, true);
  if (token) {
    publics.text(CKA_LABEL, *label).bytes(CKA_ID, view(*label));
    privates.text(CKA_LABEL, *label).bytes(CKA_ID, view(*label)).flag(CKA_SIGN, false);
  }
  auto pair = session.generate_pair({CKM_EC_KEY_PAIR_GEN, nullptr, 0}, publics, privates,
                                    token ? "key '" + *label + "'" : "ephemeral key");
  Bytes point = point_of(session, pair.public_key, type);
  return {std::move(pair.private_key), std::move(pair.public_key), std::move(point)};
}

ScopedObject derive_kek(Session& session, Suite suite, const Object& private_key, ByteView peer,
                        ByteView context, CK_ATTRIBUTE_TYPE use) {
  return suite == Suite::EcdhX963 ? derive_x963(session, private_key, peer, context, use)
                                  : derive_ecb(session, private_key, peer, context, use);
}

}  // namespace qpcseal::keys
