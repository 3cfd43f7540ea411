// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/bare_wrap.h"

#include "appliance/keys/spki.h"

namespace qpcseal::bench {

namespace {

using pkcs11::ScopedObject;
using pkcs11::Session;
using pkcs11::Template;

constexpr std::size_t kKek = 32;  // bytes

Template secret_key(CK_ATTRIBUTE_TYPE use) {
  Template out;
  out.number(CKA_CLASS, CKO_SECRET_KEY)
      .number(CKA_KEY_TYPE, CKK_AES)
      .number(CKA_VALUE_LEN, kKek)
      .flag(CKA_TOKEN, false)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_EXTRACTABLE, false)
      .flag(use, true);
  return out;
}

unsigned char* unconst(const Bytes& bytes) {
  return const_cast<unsigned char*>(bytes.data());
}  // Cryptoki has no const

void bare_ecdh(Session& session, const keys::Mek& mek, keys::Suite suite, const keys::Peer& peer) {
  const Bytes p256 = from_hex("06082a8648ce3d030107"), p384 = from_hex("06052b81040022");
  Template publics, privates;
  publics.flag(CKA_TOKEN, false).bytes(CKA_EC_PARAMS, peer.type == keys::PeerType::P256 ? p256 : p384);
  privates.flag(CKA_TOKEN, false).flag(CKA_DERIVE, true).flag(CKA_SENSITIVE, true);
  auto pair = session.generate_pair({CKM_EC_KEY_PAIR_GEN, nullptr, 0}, publics, privates, "bare");
  const ScopedObject private_key(session, pair.private_key), public_key(session, pair.public_key);
  Bytes info(180, 0x69);
  CK_ECDH1_DERIVE_PARAMS ecdh{};
  const bool x963 = suite == keys::Suite::EcdhX963;
  ecdh.kdf = !x963 ? CKD_NULL : peer.type == keys::PeerType::P256 ? CKD_SHA256_KDF : CKD_SHA384_KDF;
  ecdh.ulSharedDataLen = x963 ? info.size() : 0;
  ecdh.pSharedData = x963 ? info.data() : nullptr;
  ecdh.ulPublicDataLen = peer.public_key.size();
  ecdh.pPublicData = unconst(peer.public_key);
  ScopedObject kek(session, session.derive({CKM_ECDH1_DERIVE, &ecdh, sizeof(ecdh)}, private_key.get(),
                                           secret_key(x963 ? CKA_WRAP : CKA_DERIVE), "bare"));
  CK_KEY_DERIVATION_STRING_DATA data{info.data(), kKek};
  if (x963) {
    session.wrap({CKM_AES_KEY_WRAP, nullptr, 0}, kek.get(), mek.object);
    return;
  }
  const ScopedObject second(session, session.derive({CKM_AES_ECB_ENCRYPT_DATA, &data, sizeof(data)},
                                                    kek.get(), secret_key(CKA_WRAP), "bare"));
  session.wrap({CKM_AES_KEY_WRAP, nullptr, 0}, second.get(), mek.object);
}

void bare_oaep(Session& session, const keys::Mek& mek, keys::Suite suite, const keys::RsaPublic& rsa) {
  Template key;
  key.number(CKA_CLASS, CKO_PUBLIC_KEY)
      .number(CKA_KEY_TYPE, CKK_RSA)
      .flag(CKA_TOKEN, false)
      .flag(CKA_WRAP, true)
      .flag(CKA_ENCRYPT, true)
      .bytes(CKA_MODULUS, rsa.modulus)
      .bytes(CKA_PUBLIC_EXPONENT, rsa.exponent);
  const ScopedObject object(session, session.create(key, "bare"));
  const bool sha2 = suite == keys::Suite::OaepSha256;
  Bytes label(32, 0x6c);
  CK_RSA_PKCS_OAEP_PARAMS oaep{};
  oaep.hashAlg = sha2 ? CKM_SHA256 : CKM_SHA_1;
  oaep.mgf = sha2 ? CKG_MGF1_SHA256 : CKG_MGF1_SHA1;
  oaep.source = CKZ_DATA_SPECIFIED;
  oaep.pSourceData = sha2 ? label.data() : nullptr;
  oaep.ulSourceDataLen = sha2 ? label.size() : 0;
  session.wrap({CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep)}, object.get(), mek.object);
}

}  // namespace

void bare_wrap(Session& session, const keys::Mek& mek, keys::Suite suite, const keys::Peer& peer) {
  if (peer.type == keys::PeerType::Rsa)
    return bare_oaep(session, mek, suite, keys::rsa_from_spki(peer.public_key));
  bare_ecdh(session, mek, suite, peer);
}

}  // namespace qpcseal::bench
