// SPDX-License-Identifier: Apache-2.0
// AES-GCM in tokens, in one call and in pieces, opened again with OpenSSL.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <memory>

#include "base/error.h"
#include "pkcs11/gcm.h"
#include "tests/support/tokens.h"

namespace qpcseal::pkcs11 {
namespace {

using testing::TestToken;

const Bytes kKey(16, 0x4b), kAad(21, 0x61);

Object known_key(Session& session) {
  Template key;
  key.number(CKA_CLASS, CKO_SECRET_KEY)
      .number(CKA_KEY_TYPE, CKK_AES)
      .flag(CKA_TOKEN, false)
      .flag(CKA_SENSITIVE, false)
      .flag(CKA_ENCRYPT, true)
      .bytes(CKA_VALUE, kKey);
  return session.create(key, "known key");
}

// Empty optional: the tag is wrong.
std::optional<Bytes> opened(ByteView stored) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                EVP_CIPHER_CTX_free);
  Bytes plain(stored.size() - kGcmIv - kGcmTag), tag(stored.end() - kGcmTag, stored.end());
  int size = 0;
  EVP_DecryptInit_ex(context.get(), EVP_aes_128_gcm(), nullptr, kKey.data(), stored.data());
  EVP_DecryptUpdate(context.get(), nullptr, &size, kAad.data(), static_cast<int>(kAad.size()));
  EVP_DecryptUpdate(context.get(), plain.data(), &size, stored.data() + kGcmIv,
                    static_cast<int>(plain.size()));
  EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kGcmTag, tag.data());
  if (EVP_DecryptFinal_ex(context.get(), nullptr, &size) != 1) return std::nullopt;
  return plain;
}

Bytes sample(std::size_t size) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return out;
}

constexpr std::size_t kSizes[] = {
    0, 1, kGcmPiece - 1, kGcmPiece, kGcmPiece + 1, 2 * kGcmPiece, 16 * kGcmPiece + 5};

void opens_again(TestToken& token, GcmAbility ability) {
  SystemRandom random;
  GcmEncryptor encryptor(token.session(), ability, known_key(token.session()), random);
  for (const std::size_t size : kSizes) {  // one encryptor for all: a message leaves nothing behind
    SCOPED_TRACE(size);
    const Bytes plain = sample(size);
    Bytes first(size + kGcmIv + kGcmTag), second(first.size());
    encryptor.encrypt(kAad, plain, first);
    EXPECT_EQ(opened(first), plain);
    encryptor.encrypt(kAad, plain, second);
    EXPECT_EQ(opened(second), plain);
    EXPECT_NE(Bytes(first.begin(), first.begin() + kGcmIv), Bytes(second.begin(), second.begin() + kGcmIv));
  }
}

TEST(Gcm, OpensAgainFromSoftHsm) {
  const auto token = TestToken::softhsm();
  opens_again(*token, {true, IvRule::Caller});
  opens_again(*token, {false, IvRule::Caller});
}

TEST(Gcm, OpensAgainFromNssSoftoken) {
  const auto token = TestToken::nss();
  if (!token) GTEST_SKIP() << "NSS softoken is not installed";
  opens_again(*token, probe_gcm(token->session()));
}

TEST(Gcm, WrongSizesAndEmptyAssociatedDataAreRefused) {
  const auto token = TestToken::softhsm();
  SystemRandom random;
  GcmEncryptor encryptor(token->session(), {true, IvRule::Caller}, known_key(token->session()), random);
  const Bytes plain(kGcmPiece + 1);
  Bytes stored(plain.size() + kGcmIv + kGcmTag);
  EXPECT_THROW(encryptor.encrypt({}, plain, stored), Error);
  EXPECT_THROW(encryptor.encrypt(kAad, plain, MutableBytes(stored).subspan(1)), Error);
}

// What an operation that was broken off left in the session does not spoil the next one.
TEST(Gcm, AFailureInTheMiddleDoesNotStayInTheSession) {
  const auto token = TestToken::softhsm();
  SystemRandom random;
  GcmEncryptor encryptor(token->session(), {true, IvRule::Caller}, known_key(token->session()), random);
  const Object nothing{CK_INVALID_HANDLE, "no key"};
  GcmEncryptor broken(token->session(), {true, IvRule::Caller}, nothing, random);
  const Bytes large = sample(3 * kGcmPiece);
  Bytes out(large.size() + kGcmIv + kGcmTag);
  EXPECT_THROW(broken.encrypt(kAad, large, out), Error);
  const Bytes plain = sample(100);
  Bytes stored(plain.size() + kGcmIv + kGcmTag);
  encryptor.encrypt(kAad, plain, stored);
  EXPECT_EQ(opened(stored), plain);
}

}  // namespace
}  // namespace qpcseal::pkcs11
