#include "pkcs11/gcm.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "pkcs11/probe.h"

namespace qpcseal::pkcs11 {

namespace {

constexpr unsigned kIvBits = kGcmIv * 8, kTagBits = kGcmTag * 8;
constexpr std::array<std::uint8_t, 9> kProbeAad{'q', 'p', 'c', 's', 'e', 'a', 'l', '/', '1'};

Temporary probe_key(Session& session) {
  Template key;
  key.number(CKA_CLASS, CKO_SECRET_KEY)
      .number(CKA_KEY_TYPE, CKK_AES)
      .number(CKA_VALUE_LEN, 16)
      .flag(CKA_TOKEN, false)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_EXTRACTABLE, false)
      .flag(CKA_ENCRYPT, true);
  return {session, session.generate({CKM_AES_KEY_GEN, nullptr, 0}, key, "probe key")};
}

CK_GCM_PARAMS parameters(MutableBytes iv, ByteView aad) {
  CK_GCM_PARAMS out{};
  out.pIv = iv.data();
  out.ulIvLen = kGcmIv;
  out.ulIvBits = kIvBits;
  out.pAAD = const_cast<unsigned char*>(aad.data());  // Cryptoki has no const
  out.ulAADLen = aad.size();
  out.ulTagBits = kTagBits;
  return out;
}

void encrypt(Session& session, bool multipart, const Object& key, MutableBytes iv, ByteView aad,
             ByteView plain, MutableBytes out) {
  CK_GCM_PARAMS gcm = parameters(iv, aad);
  const CK_MECHANISM mechanism{CKM_AES_GCM, &gcm, sizeof(gcm)};
  if (multipart) {
    session.encrypt_pieces(mechanism, key, plain, out, kGcmPiece);
  } else {
    session.encrypt(mechanism, key, plain, out);
  }
}

bool can_multipart(Session& session, const Object& key, ByteView plain, ByteView expected) {
  std::array<std::uint8_t, kGcmIv> iv{};
  Bytes out(expected.size());
  const bool works = can_do(session, [&] {
    try {
      encrypt(session, true, key, iv, kProbeAad, plain, out);
    } catch (const Error&) {
      session.abandon_encryption();
      throw;
    }
  });
  return works && equal(out, expected);
}

}  // namespace

GcmAbility probe_gcm(Session& session) {
  const Temporary key = probe_key(session);
  const Bytes plain(kGcmPiece + 1, 0x5a);
  std::array<std::uint8_t, kGcmIv> iv{};
  Bytes out(plain.size() + kGcmTag);
  encrypt(session, false, key.get(), iv, kProbeAad, plain, out);
  GcmAbility ability;
  // The zero IV went in: what comes back otherwise is the token's own.
  if (std::any_of(iv.begin(), iv.end(), [](auto byte) { return byte != 0; })) {
    ability.iv = IvRule::Token;
  } else {
    ability.multipart = can_multipart(session, key.get(), plain, out);
  }
  return ability;
}

void gcm_encrypt(Session& session, const GcmAbility& ability, const Object& key, Random& random,
                 MutableBytes iv, ByteView aad, ByteView plain, MutableBytes out) {
  if (iv.size() != kGcmIv || out.size() != plain.size() + kGcmTag || aad.empty())
    throw Error(ErrorKind::Internal, "gcm_encrypt: sizes");
  if (ability.iv == IvRule::Caller) random.fill(iv);
  // Small messages gain nothing from pieces.
  encrypt(session, ability.multipart && plain.size() > kGcmPiece, key, iv, aad, plain, out);
  if (ability.iv == IvRule::Token && std::all_of(iv.begin(), iv.end(), [](auto byte) { return byte == 0; }))
    throw Error(ErrorKind::Token, "C_Encrypt(" + key.name + "): the token did not return the IV it used");
}

}  // namespace qpcseal::pkcs11
