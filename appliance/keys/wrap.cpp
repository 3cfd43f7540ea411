// SPDX-License-Identifier: Apache-2.0
#include "appliance/keys/wrap.h"

#include "appliance/keys/kek.h"
#include "appliance/keys/spki.h"
#include "base/digest.h"
#include "base/error.h"

namespace qpcseal::keys {

namespace {

using pkcs11::ScopedObject;
using pkcs11::Session;
using pkcs11::Template;

constexpr std::size_t kMaxNonce = 64;

Bytes wrap_ecdh(Session& session, const Mek& mek, Suite suite, const Peer& peer, ByteView nonce, Bytes& pub) {
  if (peer.public_key.size() != point_size(peer.type) || !on_curve(peer.public_key))
    throw Error(ErrorKind::Malformed, "the session key's point is not on its curve");
  const EcPair ephemeral = make_ec_pair(session, peer.type, std::nullopt);
  const ScopedObject private_key(session, ephemeral.private_key), public_key(session, ephemeral.public_key);
  pub = ephemeral.point;
  const Bytes context = wrap_context(suite, mek.id, nonce, ephemeral.point, peer);
  const ScopedObject kek = derive_kek(session, suite, private_key.get(), peer.public_key, context, CKA_WRAP);
  Bytes wrapped = session.wrap({CKM_AES_KEY_WRAP, nullptr, 0}, kek.get(), mek.object);
  if (wrapped.size() != kWrappedSize)
    throw Error(ErrorKind::Token,
                "C_WrapKey(" + mek.object.name + "): " + std::to_string(wrapped.size()) + " bytes, not 24");
  return wrapped;
}

ScopedObject import_rsa(Session& session, const RsaPublic& rsa) {
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
  const ScopedObject key = import_rsa(session, rsa);
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

Bytes wrap_context(Suite suite, ByteView mek_id, ByteView nonce, ByteView ephemeral, const Peer& peer) {
  Bytes out;
  append(out, peer.domain);
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
