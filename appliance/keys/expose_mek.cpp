// SPDX-License-Identifier: Apache-2.0
#include "appliance/keys/expose_mek.h"

#include "appliance/keys/kek.h"
#include "base/error.h"
#include "base/openssl.h"

namespace qpcseal::keys {

namespace {

constexpr std::size_t kOneTime = 32, kMekSize = 16;  // bytes

using CipherPtr = Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;

// Gone with the session.
pkcs11::Template session_key(bool wraps) {
  pkcs11::Template out;
  out.number(CKA_CLASS, CKO_SECRET_KEY)
      .number(CKA_KEY_TYPE, CKK_AES)
      .flag(CKA_TOKEN, false)
      .flag(CKA_PRIVATE, true)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_EXTRACTABLE, !wraps)
      .flag(CKA_WRAP, wraps);
  for (const CK_ATTRIBUTE_TYPE flag : {CKA_ENCRYPT, CKA_DECRYPT, CKA_UNWRAP, CKA_DERIVE})
    out.flag(flag, false);
  return out;
}

pkcs11::Object generate(pkcs11::Session& session, std::size_t size, bool wraps) {
  pkcs11::Template wanted = session_key(wraps);
  wanted.number(CKA_VALUE_LEN, size);
  return session.generate({CKM_AES_KEY_GEN, nullptr, 0}, std::move(wanted), "trial key");
}

Bytes wrap(pkcs11::Session& session, const pkcs11::Object& wrapping, const pkcs11::Object& key) {
  Bytes out = session.wrap({CKM_AES_KEY_WRAP, nullptr, 0}, wrapping, key);
  if (out.size() != kWrappedSize)
    throw Error(ErrorKind::Token, "C_WrapKey(" + key.name + "): another length than RFC 3394 gives");
  return out;
}

// RFC 3394.
SecretBuffer unwrap(const SecretBuffer& key, ByteView wrapped) {
  SecretBuffer out(kWrappedSize);  // as OpenSSL asks; the key is shorter
  const CipherPtr context(made(EVP_CIPHER_CTX_new(), "EVP_CIPHER_CTX_new"));
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  int size = 0;
  const bool good =
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_wrap(), nullptr, key.bytes().data(), nullptr) == 1 &&
      EVP_DecryptUpdate(context.get(), out.bytes().data(), &size, wrapped.data(),
                        static_cast<int>(wrapped.size())) == 1 &&
      size == static_cast<int>(kMekSize);
  ERR_clear_error();
  if (!good) throw Error(ErrorKind::Token, "C_WrapKey: what the token wrapped does not open");
  out.truncate(kMekSize);
  return out;
}

SecretBuffer take_out(pkcs11::Session& session, const pkcs11::Object& key, Random& random) {
  SecretBuffer one_time(kOneTime);
  random.fill(one_time.bytes());
  const pkcs11::ScopedObject wrapping(
      session, session.create_secret(session_key(true), one_time, "one-time wrapping key"));
  return unwrap(one_time, wrap(session, wrapping.get(), key));
}

}  // namespace

void try_exposure(pkcs11::Session& session, const Mek& mek, Random& random) {
  const pkcs11::ScopedObject unknown(session, generate(session, kOneTime, true));
  static_cast<void>(wrap(session, unknown.get(), mek.object));
  const pkcs11::ScopedObject stand_in(session, generate(session, kMekSize, false));
  static_cast<void>(take_out(session, stand_in.get(), random));
}

SecretBuffer expose_mek(pkcs11::Session& session, const Mek& mek, ExposurePermit permit, Random& random) {
  if (permit.mek_id().empty() || permit.mek_id() != mek.id)
    throw Error(ErrorKind::Internal, "a key is exposed without a permit for it");
  return take_out(session, mek.object, random);
}

}  // namespace qpcseal::keys
