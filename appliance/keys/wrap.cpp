#include "appliance/keys/wrap.h"

#include <array>

#include "appliance/keys/spki.h"
#include "base/digest.h"
#include "base/error.h"

namespace qpcseal::keys {

namespace {

using pkcs11::Object;
using pkcs11::Session;
using pkcs11::Template;
using pkcs11::Temporary;

constexpr std::size_t kKek = 32, kWrapped = 24;  // bytes; RFC 3394 adds 8 to a 16-byte key
constexpr std::size_t kMaxNonce = 64;
constexpr std::array<std::uint8_t, 10> kP256Oid{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
constexpr std::array<std::uint8_t, 7> kP384Oid{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};

unsigned char* unconst(ByteView bytes) {
  return const_cast<unsigned char*>(bytes.data());
}  // Cryptoki has no const

std::size_t point_size(PeerType type) { return type == PeerType::P256 ? 65 : 97; }

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

struct Ephemeral {
  Temporary private_key, public_key;
  Bytes point;
};

Ephemeral make_ephemeral(Session& session, PeerType type) {
  Template publics, privates;
  publics.number(CKA_KEY_TYPE, CKK_EC).flag(CKA_TOKEN, false);
  if (type == PeerType::P256) {
    publics.bytes(CKA_EC_PARAMS, kP256Oid);
  } else {
    publics.bytes(CKA_EC_PARAMS, kP384Oid);
  }
  privates.number(CKA_KEY_TYPE, CKK_EC)
      .flag(CKA_TOKEN, false)
      .flag(CKA_PRIVATE, true)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_EXTRACTABLE, false)
      .flag(CKA_DERIVE, true);
  auto pair = session.generate_pair({CKM_EC_KEY_PAIR_GEN, nullptr, 0}, publics, privates, "ephemeral key");
  Ephemeral out{
      Temporary(session, std::move(pair.private_key)), Temporary(session, std::move(pair.public_key)), {}};
  const auto raw = session.attribute(out.public_key.get(), CKA_EC_POINT);
  if (!raw)
    throw Error(ErrorKind::Token, "C_GetAttributeValue(ephemeral key): the token gives no CKA_EC_POINT");
  out.point = unwrap_ec_point(*raw, point_size(type));
  if (!on_curve(out.point))
    throw Error(ErrorKind::Token, "C_GenerateKeyPair(ephemeral key): the point is not on its curve");
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

Temporary derive_x963(Session& session, const Ephemeral& ephemeral, const Peer& peer, ByteView context) {
  auto params = ecdh(peer.type == PeerType::P256 ? CKD_SHA256_KDF : CKD_SHA384_KDF, context, peer.public_key);
  return {session, session.derive({CKM_ECDH1_DERIVE, &params, sizeof(params)}, ephemeral.private_key.get(),
                                  session_key(CKA_WRAP), "KEK")};
}

Temporary derive_ecb(Session& session, const Ephemeral& ephemeral, const Peer& peer, ByteView context) {
  auto params = ecdh(CKD_NULL, {}, peer.public_key);
  const Temporary z(session,
                    session.derive({CKM_ECDH1_DERIVE, &params, sizeof(params)}, ephemeral.private_key.get(),
                                   session_key(CKA_DERIVE), "shared secret"));
  Sha256Digest hash = sha256(context);
  CK_KEY_DERIVATION_STRING_DATA data{};
  data.pData = hash.data();
  data.ulLen = hash.size();
  return {session, session.derive({CKM_AES_ECB_ENCRYPT_DATA, &data, sizeof(data)}, z.get(),
                                  session_key(CKA_WRAP), "KEK")};
}

Bytes wrap_ecdh(Session& session, const Mek& mek, Suite suite, const Peer& peer, ByteView nonce, Bytes& pub) {
  if (peer.public_key.size() != point_size(peer.type) || !on_curve(peer.public_key))
    throw Error(ErrorKind::Malformed, "the session key's point is not on its curve");
  const Ephemeral ephemeral = make_ephemeral(session, peer.type);
  pub = ephemeral.point;
  const Bytes context = wrap_context(suite, mek.id, nonce, ephemeral.point, peer);
  const Temporary kek = suite == Suite::EcdhX963 ? derive_x963(session, ephemeral, peer, context)
                                                 : derive_ecb(session, ephemeral, peer, context);
  Bytes wrapped = session.wrap({CKM_AES_KEY_WRAP, nullptr, 0}, kek.get(), mek.object);
  if (wrapped.size() != kWrapped)
    throw Error(ErrorKind::Token,
                "C_WrapKey(" + mek.object.name + "): " + std::to_string(wrapped.size()) + " bytes, not 24");
  return wrapped;
}

Temporary import_rsa(Session& session, const RsaPublic& rsa) {
  Template key;
  key.number(CKA_CLASS, CKO_PUBLIC_KEY)
      .number(CKA_KEY_TYPE, CKK_RSA)
      .flag(CKA_TOKEN, false)
      .flag(CKA_WRAP, true)
      .flag(CKA_ENCRYPT, true)  // SoftHSM wants it for OAEP; a public key gives nothing away
      .bytes(CKA_MODULUS, rsa.modulus)
      .bytes(CKA_PUBLIC_EXPONENT, rsa.exponent);
  return {session, session.create(key, "session key")};
}

Bytes wrap_oaep(Session& session, const Mek& mek, Suite suite, const Peer& peer, ByteView nonce) {
  const RsaPublic rsa = rsa_from_spki(peer.public_key);
  const Temporary key = import_rsa(session, rsa);
  Sha256Digest label = sha256(wrap_context(suite, mek.id, nonce, {}, peer));
  CK_RSA_PKCS_OAEP_PARAMS params{};
  params.hashAlg = suite == Suite::OaepSha256 ? CKM_SHA256 : CKM_SHA_1;
  params.mgf = suite == Suite::OaepSha256 ? CKG_MGF1_SHA256 : CKG_MGF1_SHA1;
  params.source = CKZ_DATA_SPECIFIED;
  if (suite == Suite::OaepSha256) {
    params.pSourceData = label.data();
    params.ulSourceDataLen = label.size();
  }
  Bytes wrapped = session.wrap({CKM_RSA_PKCS_OAEP, &params, sizeof(params)}, key.get(), mek.object);
  if (wrapped.size() != rsa.modulus.size())
    throw Error(ErrorKind::Token, "C_WrapKey(" + mek.object.name + "): another length than the RSA key's");
  return wrapped;
}

}  // namespace

std::string_view name_of(Suite suite) {
  switch (suite) {
    case Suite::EcdhX963:
      return "ecdh-x963-aeskw";
    case Suite::EcdhEcbKdf:
      return "ecdh-ecbkdf-aeskw";
    case Suite::OaepSha256:
      return "rsa-oaep-sha256";
    case Suite::OaepSha1:
      return "rsa-oaep-sha1";
  }
  return "?";
}

std::optional<Suite> suite_from(unsigned number) {
  if (number < 1 || number > 4) return std::nullopt;
  return static_cast<Suite>(number);
}

bool serves(Suite suite, PeerType type) {
  if (type == PeerType::Rsa) return suite == Suite::OaepSha256 || suite == Suite::OaepSha1;
  return suite == Suite::EcdhX963 || (suite == Suite::EcdhEcbKdf && type == PeerType::P256);
}

Bytes wrap_context(Suite suite, ByteView mek_id, ByteView nonce, ByteView ephemeral, const Peer& peer) {
  Bytes out;
  append(out, "qpcseal/wrap/1");
  out.push_back(0);
  out.push_back(static_cast<std::uint8_t>(suite));
  append(out, mek_id);
  append(out, nonce);
  append_lp16(out, ephemeral);
  append_lp16(out, peer.public_key);
  append_lp16(out, peer.ueid);
  return out;
}

WrappedMek wrap_mek(Session& session, const Mek& mek, Suite suite, const Peer& peer, ByteView nonce) {
  if (!serves(suite, peer.type) || nonce.empty() || nonce.size() > kMaxNonce || mek.id.size() != kMekIdSize)
    throw Error(ErrorKind::Internal, "wrap_mek: a suite that does not fit the key, or sizes");
  WrappedMek out;
  out.suite = suite;
  out.nonce = copy(nonce);
  const bool rsa = peer.type == PeerType::Rsa;
  if (rsa) out.pub = peer.public_key;
  const Bytes wrapped = rsa ? wrap_oaep(session, mek, suite, peer, nonce)
                            : wrap_ecdh(session, mek, suite, peer, nonce, out.pub);
  append(out.encrypt, "QMEK");
  out.encrypt.push_back(1);
  out.encrypt.push_back(static_cast<std::uint8_t>(suite));
  append(out.encrypt, mek.id);
  append(out.encrypt, wrapped);
  return out;
}

}  // namespace qpcseal::keys
