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

// out = ciphertext || tag, plain.size() + 16 bytes; `iv` is filled, by `random` or by the token. `aad` must
// not be empty: some tokens crash on that.
void gcm_encrypt(Session& session, const GcmAbility& ability, const Object& key, Random& random,
                 MutableBytes iv, ByteView aad, ByteView plain, MutableBytes out);

}  // namespace qpcseal::pkcs11
