// SPDX-License-Identifier: Apache-2.0
#include "device/loader/crypto.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>

#include "base/digest.h"
#include "base/error.h"
#include "base/openssl.h"

namespace qpcseal::device {

namespace {

using CipherPtr = Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
using CipherMethodPtr = Owned<EVP_CIPHER, EVP_CIPHER_free>;
using KdfPtr = Owned<EVP_KDF, EVP_KDF_free>;
using KdfContextPtr = Owned<EVP_KDF_CTX, EVP_KDF_CTX_free>;

constexpr int kIv = 12, kTag = 16;
constexpr std::size_t kKek = 32, kMek = 16, kHead = 22;  // bytes; head: "QMEK" | version | suite | MEK id

[[noreturn]] void refuse_key(const std::string& why) { throw Error(ErrorKind::Denied, why); }

Bytes context_bytes(unsigned suite, ByteView mek_id, ByteView nonce, ByteView ephemeral, const Card& card) {
  Bytes text = copy(view("qpcseal/wrap/1"));
  text.push_back(0);
  text.push_back(static_cast<std::uint8_t>(suite));
  append(text, mek_id);
  append(text, nonce);
  append_lp16(text, ephemeral);
  append_lp16(text, card.session_public.public_key);
  append_lp16(text, card.ueid);
  return text;
}

KeyPtr ephemeral_key(const Card& card, ByteView point) {
  KeyPtr key(EVP_PKEY_new());
  if (!key || EVP_PKEY_copy_parameters(key.get(), card.session_key.get()) != 1 ||
      EVP_PKEY_set1_encoded_public_key(key.get(), point.data(), point.size()) != 1) {
    refuse_key("MEK.pub is not a point on this card's curve");
  }
  return key;
}

SecretBuffer shared_secret(const Card& card, ByteView point) {
  const KeyPtr peer = ephemeral_key(card, point);
  const KeyContextPtr context(EVP_PKEY_CTX_new(card.session_key.get(), nullptr));
  std::size_t size = 0;
  if (!context || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer(context.get(), peer.get()) != 1 ||
      EVP_PKEY_derive(context.get(), nullptr, &size) != 1) {
    refuse_key("MEK.pub does not agree with this card's key");
  }
  SecretBuffer z(size);
  if (EVP_PKEY_derive(context.get(), z.bytes().data(), &size) != 1 || size != z.size())
    refuse_key("ECDH fails");
  return z;
}

SecretBuffer x963(const SecretBuffer& z, ByteView info, const char* digest) {
  const KdfPtr kdf(EVP_KDF_fetch(nullptr, "X963KDF", nullptr));
  const KdfContextPtr context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
  std::string name = digest;
  const std::array<OSSL_PARAM, 4> params{
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, name.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<std::uint8_t*>(z.bytes().data()),
                                        z.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, const_cast<std::uint8_t*>(info.data()),
                                        info.size()),
      OSSL_PARAM_construct_end()};
  SecretBuffer kek(kKek);
  if (!context || EVP_KDF_derive(context.get(), kek.bytes().data(), kek.size(), params.data()) != 1)
    throw Error(ErrorKind::Internal, "X963KDF failed");
  return kek;
}

SecretBuffer ecb_kdf(const SecretBuffer& z, ByteView context) {
  const Sha256Digest block = sha256(context);
  const CipherPtr cipher(EVP_CIPHER_CTX_new());
  SecretBuffer kek(kKek);
  int size = 0;
  if (z.size() != kKek || !cipher ||
      EVP_EncryptInit_ex2(cipher.get(), EVP_aes_256_ecb(), z.bytes().data(), nullptr, nullptr) != 1 ||
      EVP_CIPHER_CTX_set_padding(cipher.get(), 0) != 1 ||
      EVP_EncryptUpdate(cipher.get(), kek.bytes().data(), &size, block.data(),
                        static_cast<int>(block.size())) != 1) {
    throw Error(ErrorKind::Internal, "AES-256-ECB failed");
  }
  return kek;
}

SecretBuffer unwrap_aes(const SecretBuffer& kek, ByteView wrapped) {
  const CipherMethodPtr method(EVP_CIPHER_fetch(nullptr, "AES-256-WRAP", nullptr));
  const CipherPtr cipher(EVP_CIPHER_CTX_new());
  if (!method || !cipher) throw Error(ErrorKind::Internal, "AES-256-WRAP is not there");
  EVP_CIPHER_CTX_set_flags(cipher.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  SecretBuffer mek(kMek + 16);  // the cipher wants room beyond what it returns
  int size = 0;
  if (wrapped.size() != kMek + 8 ||
      EVP_DecryptInit_ex2(cipher.get(), method.get(), kek.bytes().data(), nullptr, nullptr) != 1 ||
      EVP_DecryptUpdate(cipher.get(), mek.bytes().data(), &size, wrapped.data(),
                        static_cast<int>(wrapped.size())) != 1 ||
      size != static_cast<int>(kMek)) {
    refuse_key("the wrapped MEK does not open with this card's key");
  }
  mek.truncate(kMek);
  return mek;
}

SecretBuffer unwrap_oaep(const Card& card, ByteView wrapped, bool sha2, ByteView label) {
  const KeyContextPtr context(EVP_PKEY_CTX_new(card.session_key.get(), nullptr));
  const EVP_MD* digest = sha2 ? EVP_sha256() : EVP_sha1();
  if (!context || EVP_PKEY_decrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), digest) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), digest) != 1) {
    throw Error(ErrorKind::Internal, "OAEP cannot be set up");
  }
  if (sha2) {
    auto* owned = static_cast<unsigned char*>(OPENSSL_memdup(label.data(), label.size()));
    if (owned == nullptr ||
        EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), owned, static_cast<int>(label.size())) != 1)
      throw Error(ErrorKind::Internal, "OAEP label");
  }
  SecretBuffer mek(static_cast<std::size_t>(EVP_PKEY_get_size(card.session_key.get())));
  std::size_t size = mek.size();
  if (EVP_PKEY_decrypt(context.get(), mek.bytes().data(), &size, wrapped.data(), wrapped.size()) != 1 ||
      size != kMek)
    refuse_key("the wrapped MEK does not open with this card's key");
  mek.truncate(kMek);
  return mek;
}

}  // namespace

bool open_in_place(ByteView key, ByteView aad, ByteView entry, MutableBytes sealed) {
  constexpr std::size_t kStep = std::size_t{1} << 20U;  // bytes a call, whose length is an int
  const CipherPtr cipher(EVP_CIPHER_CTX_new());
  if (entry.size() != kIv + kTag || !cipher) return false;
  Bytes tag = copy(entry.last(kTag));
  int size = 0;
  if (EVP_DecryptInit_ex2(cipher.get(), EVP_aes_128_gcm(), key.data(), entry.data(), nullptr) != 1 ||
      EVP_DecryptUpdate(cipher.get(), nullptr, &size, aad.data(), static_cast<int>(aad.size())) != 1)
    return false;
  for (std::size_t at = 0; at < sealed.size(); at += kStep) {
    const MutableBytes step = sealed.subspan(at, std::min(kStep, sealed.size() - at));
    if (EVP_DecryptUpdate(cipher.get(), step.data(), &size, step.data(), static_cast<int>(step.size())) != 1)
      return false;
  }
  std::array<std::uint8_t, kTag> none{};
  return EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_SET_TAG, kTag, tag.data()) == 1 &&
         EVP_DecryptFinal_ex(cipher.get(), none.data(), &size) == 1;
}

bool open_gcm(ByteView key, ByteView aad, ByteView stored, MutableBytes out) {
  if (stored.size() != out.size() + kIv + kTag) return false;
  Bytes entry = copy(stored.first(kIv));
  append(entry, stored.last(kTag));
  std::ranges::copy(stored.subspan(kIv, out.size()), out.begin());
  return open_in_place(key, aad, entry, out);
}

bool verify_seal(EVP_PKEY* key, ByteView message, ByteView signature) {
  Bytes encoded = copy(signature);
  const bool ecdsa = EVP_PKEY_is_a(key, "EC") == 1;
  if (ecdsa) {
    const EcdsaSignaturePtr parts(ECDSA_SIG_new());
    const std::size_t half = signature.size() / 2;
    if (!parts || ECDSA_SIG_set0(parts.get(), BN_bin2bn(signature.data(), static_cast<int>(half), nullptr),
                                 BN_bin2bn(signature.data() + half, static_cast<int>(half), nullptr)) != 1) {
      return false;
    }
    unsigned char* der = nullptr;
    const int size = i2d_ECDSA_SIG(parts.get(), &der);
    if (size <= 0) return false;
    encoded.assign(der, der + size);
    OPENSSL_free(der);
  }
  const DigestContextPtr context(EVP_MD_CTX_new());
  return context &&
         EVP_DigestVerifyInit(context.get(), nullptr, ecdsa ? EVP_sha256() : nullptr, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), encoded.data(), encoded.size(), message.data(), message.size()) == 1;
}

SecretBuffer unwrap_mek(const Card& card, const Wrapped& wrapped, ByteView mek_id) {
  const ByteView bytes = wrapped.encrypt;
  if (bytes.size() <= kHead || text_view(bytes.first(4)) != "QMEK" || bytes[4] != 1)
    refuse_key("MEK.encrypt is of no known form");
  if (!equal(bytes.subspan(6, 16), mek_id)) refuse_key("the wrapped MEK is another one than the container's");
  const bool answered = std::any_of(card.answered_nonces.begin(), card.answered_nonces.end(),
                                    [&](const Bytes& nonce) { return nonce == wrapped.nonce; });
  if (!answered) refuse_key("MEK.nonce is none that this card answered since its boot");
  const unsigned suite = bytes[5];
  const bool rsa = card.session_public.type == attest::SessionKeyType::Rsa;
  const ByteView key = bytes.subspan(kHead);
  if (suite == 1 || suite == 2) {
    if (rsa) refuse_key("the MEK is wrapped for another kind of key");
    const Bytes context = context_bytes(suite, mek_id, wrapped.nonce, wrapped.pub, card);
    const SecretBuffer z = shared_secret(card, wrapped.pub);
    const bool p256 = card.session_public.type == attest::SessionKeyType::P256;
    if (suite == 2 && !p256) refuse_key("suite 2 is for P-256 alone");
    return unwrap_aes(suite == 1 ? x963(z, context, p256 ? "SHA256" : "SHA384") : ecb_kdf(z, context), key);
  }
  if (suite != 3 && suite != 4) refuse_key("MEK.encrypt names an unknown suite");
  if (!rsa || wrapped.pub != card.session_public.public_key) refuse_key("MEK.pub is not this card's key");
  return unwrap_oaep(card, key, suite == 3, sha256(context_bytes(suite, mek_id, wrapped.nonce, {}, card)));
}

}  // namespace qpcseal::device
