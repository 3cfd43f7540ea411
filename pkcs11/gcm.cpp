// SPDX-License-Identifier: Apache-2.0
#include "pkcs11/gcm.h"

#include <algorithm>
#include <array>
#include <exception>

#include "base/error.h"
#include "pkcs11/probe.h"

namespace qpcseal::pkcs11 {

namespace {

constexpr unsigned kIvBits = kGcmIv * 8, kTagBits = kGcmTag * 8;
constexpr std::array<std::uint8_t, 9> kProbeAad{'q', 'p', 'c', 's', 'e', 'a', 'l', '/', '1'};

ScopedObject probe_key(Session& session) {
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

bool is_zero(ByteView bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

CK_GCM_PARAMS parameters(MutableBytes iv, ByteView aad) {
  if (aad.empty()) throw Error(ErrorKind::Internal, "AES-GCM in a token without associated data");
  CK_GCM_PARAMS out{};
  out.pIv = iv.data();
  out.ulIvLen = kGcmIv;
  out.ulIvBits = kIvBits;
  out.pAAD = unconst(aad);
  out.ulAADLen = aad.size();
  out.ulTagBits = kTagBits;
  return out;
}

void encrypt_whole(Session& session, const Object& key, MutableBytes iv, ByteView aad, ByteView plain,
                   MutableBytes out) {
  CK_GCM_PARAMS gcm = parameters(iv, aad);
  session.encrypt({CKM_AES_GCM, &gcm, sizeof(gcm)}, key, plain, out);
}

[[noreturn]] void refuse_length(const Object& key) {
  throw Error(ErrorKind::Token, "C_EncryptUpdate, C_EncryptFinal(" + key.name +
                                    "): the module returned another length than the mechanism has");
}

// `out` has room for the ciphertext and the tag. A token may hold back what it was given until the end.
void encrypt_pieces(Session& session, const Object& key, ByteView iv, ByteView aad, ByteView plain,
                    MutableBytes out) {
  Bytes own_iv = copy(iv);  // a token may look at it until the end
  CK_GCM_PARAMS gcm = parameters(own_iv, aad);
  session.encrypt_begin({CKM_AES_GCM, &gcm, sizeof(gcm)}, key);
  std::size_t written = 0;
  try {
    for (std::size_t at = 0; at < plain.size(); at += kGcmPiece)
      written += session.encrypt_update(key, plain.subspan(at, std::min(kGcmPiece, plain.size() - at)),
                                        out.subspan(written));
    written += session.encrypt_finish(key, out.subspan(written));
  } catch (const std::exception&) {
    session.abandon_encryption();
    throw;
  }
  if (written != out.size()) refuse_length(key);
}

// With the zero IV.
bool can_multipart(Session& session, const Object& key, ByteView plain, ByteView expected) {
  Bytes out(expected.size());
  const std::array<std::uint8_t, kGcmIv> iv{};
  const bool works = probe(session, [&] { encrypt_pieces(session, key, iv, kProbeAad, plain, out); });
  return works && equal(out, expected);
}

}  // namespace

GcmAbility probe_gcm(Session& session) {
  const ScopedObject key = probe_key(session);
  const Bytes plain(3 * kGcmPiece + 1, 0x5a);  // a token that keeps pieces back shows it
  std::array<std::uint8_t, kGcmIv> iv{};
  Bytes out(plain.size() + kGcmTag);
  encrypt_whole(session, key.get(), iv, kProbeAad, plain, out);
  GcmAbility ability;
  // The zero IV went in: what comes back otherwise is the token's own.
  if (!is_zero(iv)) {
    ability.iv = IvRule::Token;
  } else {
    ability.multipart = can_multipart(session, key.get(), plain, out);
  }
  return ability;
}

void GcmEncryptor::encrypt(ByteView aad, ByteView plain, MutableBytes stored) {
  if (stored.size() != plain.size() + kGcmIv + kGcmTag)
    throw Error(ErrorKind::Internal, "AES-GCM in a token: sizes");
  const MutableBytes iv = stored.first(kGcmIv);
  if (ability_.iv == IvRule::Caller) {
    random_.fill(iv);
  } else {
    std::ranges::fill(iv, std::uint8_t{0});
  }
  // Small messages gain nothing from pieces.
  const bool pieces = ability_.multipart && plain.size() > kGcmPiece;
  if (pieces) return encrypt_pieces(session_, key_, iv, aad, plain, stored.subspan(kGcmIv));
  encrypt_whole(session_, key_, iv, aad, plain, stored.subspan(kGcmIv));
  if (ability_.iv == IvRule::Token && is_zero(iv))
    throw Error(ErrorKind::Token, "C_Encrypt(" + key_.name + "): the token did not return the IV it used");
}

}  // namespace qpcseal::pkcs11
