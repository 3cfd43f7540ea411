// SPDX-License-Identifier: Apache-2.0
// AES-GCM in a token (CKM_AES_GCM): how this token does it, found by trying, and one encryption.
#pragma once

#include "base/random.h"
#include "pkcs11/session.h"

namespace qpcseal::pkcs11 {

inline constexpr std::size_t kGcmIv = 12, kGcmTag = 16;  // bytes
inline constexpr std::size_t kGcmPiece = std::size_t{64}
                                         << 10;  // bytes a C_EncryptUpdate; measured best on SoftHSM

// Who makes the IV: the caller, or the token, which writes it where the caller's would be.
enum class IvRule { Caller, Token };

struct GcmAbility {
  bool multipart = false;
  IvRule iv = IvRule::Caller;
};

// Tries with a session key. Error{Token} where the token cannot encrypt with AES-GCM at all.
GcmAbility probe_gcm(Session& session);

// Encrypts message after message in one session. What it refers to must outlive it.
class GcmEncryptor {
 public:
  GcmEncryptor(Session& session, GcmAbility ability, Object key, Random& random)
      : session_(session), ability_(ability), key_(std::move(key)), random_(random) {}
  // stored = IV || ciphertext || tag, 28 bytes more than `plain`; in pieces where the token can. `aad` must
  // not be empty: some tokens crash on that. Error{Internal} on other sizes.
  void encrypt(ByteView aad, ByteView plain, MutableBytes stored);

 private:
  Session& session_;
  GcmAbility ability_;
  Object key_;
  Random& random_;
};

}  // namespace qpcseal::pkcs11
