// SPDX-License-Identifier: Apache-2.0
// What goes through the forwarding module is what the token itself does.
#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "base/error.h"
#include "pkcs11/token_choice.h"
#include "tests/forward/forwarded.h"

namespace qpcseal::testing {
namespace {

const Bytes kKey(16, 0x42), kKek(32, 0x17);

// Two ways to one token: through the server, and in this process.
class Carries : public ::testing::Test {
 protected:
  ForwardServer server_;
  pkcs11::Module far_module_ = server_.module();
  RawSession far_{far_module_};
};

// Made after the token's objects are, since a SoftHSM2 process reads what lies there at its start.
struct Direct {
  pkcs11::Module module = direct_module();
  RawSession session{module};
};

void generate_pair(RawSession& session, CK_MECHANISM_TYPE type, pkcs11::Template& of_public,
                   pkcs11::Template& of_private, const std::string& label) {
  of_public.text(CKA_LABEL, label + "-public").flag(CKA_TOKEN, true);
  of_private.text(CKA_LABEL, label).flag(CKA_TOKEN, true).flag(CKA_PRIVATE, true).flag(CKA_SENSITIVE, true);
  auto publics = of_public.attributes();
  auto privates = of_private.attributes();
  CK_MECHANISM mechanism{type, nullptr, 0};
  std::array<CK_OBJECT_HANDLE, 2> made{};
  pkcs11::check(session->C_GenerateKeyPair(session.handle(), &mechanism, publics.data(), publics.size(),
                                           privates.data(), privates.size(), &made[0], &made[1]),
                "C_GenerateKeyPair");
}

const Bytes kP256{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
const Bytes kEd25519{0x13, 0x0c, 'e', 'd', 'w', 'a', 'r', 'd', 's', '2', '5', '5', '1', '9'};

TEST_F(Carries, GcmInOneCallAndInPieces) {
  Direct direct;
  const Bytes plain(200'001, 0x5a);
  const Bytes expected = direct.session.gcm(direct.session.import_aes(kKey), plain);
  ASSERT_EQ(expected.size(), plain.size() + 16);
  const CK_OBJECT_HANDLE key = far_.import_aes(kKey);
  EXPECT_EQ(far_.gcm(key, plain), expected);
  EXPECT_EQ(far_.gcm(key, plain, 65536), expected);
}

TEST_F(Carries, DecryptGivesThePlaintextBackAndRefusesAnotherTag) {
  const Bytes plain(1000, 0x5a);
  const CK_OBJECT_HANDLE key = far_.import_aes(kKey);
  Bytes sealed = far_.gcm(key, plain);
  Bytes iv(12, 7), aad(90, 9), out(2000);
  CK_GCM_PARAMS gcm{iv.data(), iv.size(), 96, aad.data(), aad.size(), 128};
  CK_MECHANISM mechanism{CKM_AES_GCM, &gcm, sizeof gcm};
  CK_ULONG size = out.size();
  ASSERT_EQ(far_->C_DecryptInit(far_.handle(), &mechanism, key), CKR_OK);
  ASSERT_EQ(far_->C_Decrypt(far_.handle(), sealed.data(), sealed.size(), out.data(), &size), CKR_OK);
  out.resize(size);
  EXPECT_EQ(out, plain);
  sealed.back() ^= 1;
  out.resize(2000);  // SoftHSM2 wants room for the tag too
  size = out.size();
  ASSERT_EQ(far_->C_DecryptInit(far_.handle(), &mechanism, key), CKR_OK);
  EXPECT_EQ(far_->C_Decrypt(far_.handle(), sealed.data(), sealed.size(), out.data(), &size),
            CKR_GENERAL_ERROR);
}

TEST_F(Carries, KeyWrapAndUnwrap) {
  Direct direct;
  CK_MECHANISM mechanism{CKM_AES_KEY_WRAP, nullptr, 0};
  Bytes expected =
      direct.session.wrap(mechanism, direct.session.import_aes(kKek), direct.session.import_aes(kKey));
  ASSERT_EQ(expected.size(), 24U);
  const CK_OBJECT_HANDLE kek = far_.import_aes(kKek);
  EXPECT_EQ(far_.wrap(mechanism, kek, far_.import_aes(kKey)), expected);
  pkcs11::Template key;
  key.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_AES).flag(CKA_TOKEN, false);
  key.flag(CKA_SENSITIVE, false).flag(CKA_EXTRACTABLE, true);
  auto attributes = key.attributes();
  CK_OBJECT_HANDLE unwrapped = 0;
  ASSERT_EQ(far_->C_UnwrapKey(far_.handle(), &mechanism, kek, expected.data(), expected.size(),
                              attributes.data(), attributes.size(), &unwrapped),
            CKR_OK);
  EXPECT_EQ(far_.value_of(unwrapped), kKey);
}

CK_OBJECT_HANDLE derive(RawSession& session, CK_MECHANISM mechanism, CK_OBJECT_HANDLE base) {
  pkcs11::Template key;
  key.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_AES).number(CKA_VALUE_LEN, 32);
  key.flag(CKA_TOKEN, false).flag(CKA_SENSITIVE, false).flag(CKA_EXTRACTABLE, true);
  auto attributes = key.attributes();
  CK_OBJECT_HANDLE derived = 0;
  pkcs11::check(session->C_DeriveKey(session.handle(), &mechanism, base, attributes.data(), attributes.size(),
                                     &derived),
                "C_DeriveKey");
  return derived;
}

TEST_F(Carries, DerivationByEncryption) {
  Direct direct;
  Bytes text(32, 0x33);
  CK_KEY_DERIVATION_STRING_DATA data{text.data(), text.size()};
  const CK_MECHANISM mechanism{CKM_AES_ECB_ENCRYPT_DATA, &data, sizeof data};
  const auto by = [&](RawSession& session) {
    return session.value_of(derive(session, mechanism, session.import_aes(kKek)));
  };
  const Bytes expected = by(direct.session);
  ASSERT_EQ(expected.size(), 32U);
  EXPECT_EQ(by(far_), expected);
  EXPECT_NE(expected, text);
}

TEST_F(Carries, EcdhDerivation) {
  for (const char* name : {"one", "two"}) {
    pkcs11::Template of_public, of_private;
    of_public.bytes(CKA_EC_PARAMS, kP256);
    of_private.flag(CKA_DERIVE, true);
    generate_pair(far_, CKM_EC_KEY_PAIR_GEN, of_public, of_private, name);
  }
  Direct direct;
  const auto shared = [](RawSession& session, const char* own, const char* peer) {
    Bytes point = session.value_of(session.find(peer), CKA_EC_POINT);
    CK_ECDH1_DERIVE_PARAMS ecdh{CKD_NULL, 0, nullptr, point.size(), point.data()};
    const CK_MECHANISM mechanism{CKM_ECDH1_DERIVE, &ecdh, sizeof ecdh};
    return session.value_of(derive(session, mechanism, session.find(own)));
  };
  const Bytes expected = shared(direct.session, "one", "two-public");
  ASSERT_EQ(expected.size(), 32U);
  EXPECT_EQ(shared(far_, "one", "two-public"), expected);
  EXPECT_EQ(shared(far_, "two", "one-public"), expected);
}

TEST_F(Carries, OaepWrapUnwrapsDirectly) {
  pkcs11::Template of_public, of_private;
  of_public.number(CKA_MODULUS_BITS, 2048).bytes(CKA_PUBLIC_EXPONENT, Bytes{1, 0, 1}).flag(CKA_WRAP, true);
  of_private.flag(CKA_UNWRAP, true);
  generate_pair(far_, CKM_RSA_PKCS_KEY_PAIR_GEN, of_public, of_private, "rsa");
  CK_RSA_PKCS_OAEP_PARAMS oaep{CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, nullptr, 0};
  CK_MECHANISM mechanism{CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep};
  Bytes wrapped = far_.wrap(mechanism, far_.find("rsa-public"), far_.import_aes(kKey));
  ASSERT_EQ(wrapped.size(), 256U);
  Direct direct;
  pkcs11::Template key;
  key.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_AES).flag(CKA_TOKEN, false);
  key.flag(CKA_SENSITIVE, false).flag(CKA_EXTRACTABLE, true);
  auto attributes = key.attributes();
  CK_OBJECT_HANDLE unwrapped = 0;
  RawSession& near = direct.session;
  ASSERT_EQ(near->C_UnwrapKey(near.handle(), &mechanism, near.find("rsa"), wrapped.data(), wrapped.size(),
                              attributes.data(), attributes.size(), &unwrapped),
            CKR_OK);
  EXPECT_EQ(near.value_of(unwrapped), kKey);
}

TEST_F(Carries, EddsaSignsAndVerifies) {
  pkcs11::Template of_public, of_private;
  of_public.bytes(CKA_EC_PARAMS, kEd25519).flag(CKA_VERIFY, true);
  of_private.flag(CKA_SIGN, true);
  generate_pair(far_, CKM_EC_EDWARDS_KEY_PAIR_GEN, of_public, of_private, "ed");
  Direct direct;
  CK_MECHANISM mechanism{CKM_EDDSA, nullptr, 0};
  Bytes data(100, 0x61);
  Bytes signature = far_.sign(mechanism, far_.find("ed"), data);
  ASSERT_EQ(signature.size(), 64U);
  EXPECT_EQ(signature, direct.session.sign(mechanism, direct.session.find("ed"), data));
  const auto verify = [&] {
    pkcs11::check(far_->C_VerifyInit(far_.handle(), &mechanism, far_.find("ed-public")), "C_VerifyInit");
    return far_->C_Verify(far_.handle(), data.data(), data.size(), signature.data(), signature.size());
  };
  EXPECT_EQ(verify(), CKR_OK);
  data[0] ^= 1;
  EXPECT_EQ(verify(), CKR_SIGNATURE_INVALID);
}

TEST_F(Carries, DigestAndRandomness) {
  CK_MECHANISM mechanism{CKM_SHA256, nullptr, 0};
  Bytes data(77, 1);
  Sha256Digest digest{};
  CK_ULONG size = digest.size();
  ASSERT_EQ(far_->C_DigestInit(far_.handle(), &mechanism), CKR_OK);
  ASSERT_EQ(far_->C_Digest(far_.handle(), data.data(), data.size(), digest.data(), &size), CKR_OK);
  EXPECT_EQ(size, digest.size());
  Sha256 hash;
  hash.update(data);
  EXPECT_EQ(digest, hash.finish());
  Bytes one(32), two(32);
  EXPECT_EQ(far_->C_SeedRandom(far_.handle(), data.data(), data.size()), CKR_OK);
  ASSERT_EQ(far_->C_GenerateRandom(far_.handle(), one.data(), one.size()), CKR_OK);
  ASSERT_EQ(far_->C_GenerateRandom(far_.handle(), two.data(), two.size()), CKR_OK);
  EXPECT_NE(one, two);
  EXPECT_NE(one, Bytes(32));
}

TEST_F(Carries, AttributesWithTheLengthsAndErrorsOfTheToken) {
  const CK_OBJECT_HANDLE key = far_.import_aes(kKey);
  std::array<CK_BYTE, 8> small{};
  CK_OBJECT_CLASS kind = 0;
  std::array<CK_ATTRIBUTE, 3> attributes{
      {{CKA_CLASS, &kind, sizeof kind}, {CKA_VALUE, small.data(), small.size()}, {CKA_MODULUS, nullptr, 0}}};
  EXPECT_EQ(far_->C_GetAttributeValue(far_.handle(), key, attributes.data(), 1), CKR_OK);
  EXPECT_EQ(kind, CKO_SECRET_KEY);
  EXPECT_EQ(far_->C_GetAttributeValue(far_.handle(), key, &attributes[1], 1), CKR_BUFFER_TOO_SMALL);
  EXPECT_EQ(far_->C_GetAttributeValue(far_.handle(), key, &attributes[2], 1), CKR_ATTRIBUTE_TYPE_INVALID);
  EXPECT_EQ(attributes[2].ulValueLen, CK_UNAVAILABLE_INFORMATION);
  pkcs11::Template label;
  label.text(CKA_LABEL, "renamed");
  auto change = label.attributes();
  ASSERT_EQ(far_->C_SetAttributeValue(far_.handle(), key, change.data(), change.size()), CKR_OK);
  CK_OBJECT_HANDLE copy = 0;
  label.text(CKA_ID, "copy");
  auto differently = label.attributes();
  EXPECT_EQ(far_.find("renamed"), key);
  ASSERT_EQ(far_->C_CopyObject(far_.handle(), key, differently.data(), differently.size(), &copy), CKR_OK);
  EXPECT_EQ(far_.value_of(copy), kKey);
  EXPECT_EQ(far_->C_DestroyObject(far_.handle(), copy), CKR_OK);
  EXPECT_EQ(far_->C_DestroyObject(far_.handle(), copy), CKR_OBJECT_HANDLE_INVALID);
}

TEST_F(Carries, WhatTheTokenSaysOfItself) {
  Direct direct;
  const auto list = [](RawSession& session) {
    CK_ULONG count = 0;
    pkcs11::check(session->C_GetMechanismList(session.slot(), nullptr, &count), "C_GetMechanismList");
    std::vector<CK_MECHANISM_TYPE> types(count);
    pkcs11::check(session->C_GetMechanismList(session.slot(), types.data(), &count), "C_GetMechanismList");
    return types;
  };
  EXPECT_GT(list(far_).size(), 50U);
  EXPECT_EQ(list(far_), list(direct.session));
  const auto there = find_token(far_module_, {"forwarded", "", {}});
  EXPECT_EQ(there.serial, find_token(direct.module, {"forwarded", "", {}}).serial);
  CK_MECHANISM_INFO one{}, two{};
  ASSERT_EQ(far_->C_GetMechanismInfo(far_.slot(), CKM_AES_KEY_GEN, &one), CKR_OK);
  ASSERT_EQ(direct.session->C_GetMechanismInfo(direct.session.slot(), CKM_AES_KEY_GEN, &two), CKR_OK);
  EXPECT_EQ(one.ulMaxKeySize, two.ulMaxKeySize);
  CK_SESSION_INFO session{};
  ASSERT_EQ(far_->C_GetSessionInfo(far_.handle(), &session), CKR_OK);
  EXPECT_EQ(session.state, CKS_RW_USER_FUNCTIONS);
  EXPECT_EQ(far_->C_SetPIN(far_.handle(), nullptr, 0, nullptr, 0), CKR_FUNCTION_NOT_SUPPORTED);
  EXPECT_EQ(far_->C_CloseAllSessions(far_.slot()), CKR_OK);
  EXPECT_EQ(far_->C_GetSessionInfo(far_.handle(), &session), CKR_SESSION_HANDLE_INVALID);
}

TEST_F(Carries, SeveralThreadsEachWithASession) {
  const Bytes plain(100'000, 0x21);
  const Bytes expected = far_.gcm(far_.import_aes(kKey), plain);
  std::array<Bytes, 4> results;
  std::vector<std::thread> threads;
  for (Bytes& result : results)
    threads.emplace_back([&] {
      RawSession own(far_module_);
      const CK_OBJECT_HANDLE key = own.import_aes(kKey);
      for (int i = 0; i < 20; ++i) result = own.gcm(key, plain, 4096);
    });
  for (auto& thread : threads) thread.join();
  for (const Bytes& result : results) EXPECT_EQ(result, expected);
}

TEST(Clients, OneAfterTheOtherAndAgainAfterARestart) {
  ForwardServer server;
  for (int i = 0; i < 2; ++i) {
    const pkcs11::Module module = server.module();
    RawSession session(module);
    EXPECT_EQ(session.gcm(session.import_aes(kKey), Bytes(16, 1)).size(), 32U);
  }
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THROW(static_cast<void>(server.module()), Error);
  server.start();
  const pkcs11::Module module = server.module();
  EXPECT_EQ(find_token(module, {"forwarded", "", {}}).label, "forwarded");
}

TEST(Clients, ASocketPathIsNeeded) {
  EXPECT_THROW(pkcs11::Module(kForwardModule, pkcs11::Module::digest_of(kForwardModule), ""), Error);
  EXPECT_THROW(pkcs11::Module(kForwardModule, pkcs11::Module::digest_of(kForwardModule), "slot=1"), Error);
}

}  // namespace
}  // namespace qpcseal::testing
