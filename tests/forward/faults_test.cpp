// SPDX-License-Identifier: Apache-2.0
// Each kind of fault does what the faults file says, at the call it names and at no other.
#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <chrono>

#include "base/error.h"
#include "tests/forward/forwarded.h"

namespace qpcseal::testing {
namespace {

constexpr int kFaultsUnreadable = 3;  // the server's exit code

// A server with a faults file, and a session through it.
struct Faulty {
  explicit Faulty(const std::string& faults) : server(faults) {}
  ForwardServer server;
  pkcs11::Module module = server.module();
  RawSession session{module};

  CK_RV generate(const char* label) {
    auto made = extractable_aes(label);
    auto attributes = made.attributes();
    CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
    return session->C_GenerateKey(session.handle(), &mechanism, attributes.data(), attributes.size(), &key);
  }
  bool has(const char* label) {
    try {
      return session.find(label) != 0;
    } catch (const Error&) {
      return false;
    }
  }
  CK_OBJECT_HANDLE key = 0;
};

TEST(Faults, ReturnKeepsTheCallFromTheToken) {
  Faulty faulty("# a comment\nC_GenerateKey 2 return 0x30  # the second\n");
  EXPECT_EQ(faulty.generate("first"), CKR_OK);
  EXPECT_EQ(faulty.generate("second"), CKR_DEVICE_ERROR);
  EXPECT_EQ(faulty.generate("third"), CKR_OK);
  EXPECT_TRUE(faulty.has("first"));
  EXPECT_FALSE(faulty.has("second"));
  EXPECT_TRUE(faulty.has("third"));
  EXPECT_NE(faulty.server.trace().find("C_GenerateKey 0x0 return\n"), std::string::npos);
}

TEST(Faults, ReturnAfterHidesWhatTheTokenDid) {
  Faulty faulty("C_GenerateKey 1 return-after 0x30\n");
  EXPECT_EQ(faulty.generate("made"), CKR_DEVICE_ERROR);
  EXPECT_TRUE(faulty.has("made"));
}

TEST(Faults, EveryCall) {
  Faulty faulty("C_GenerateKey * return 0x30\n");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(faulty.generate("key"), CKR_DEVICE_ERROR);
}

TEST(Faults, VanishEndsTheServerAndEveryLaterCall) {
  for (const std::string kind : {"vanish", "vanish-after"}) {
    Faulty faulty("C_GenerateKey 2 " + kind + "\n");
    EXPECT_EQ(faulty.generate("first"), CKR_OK);
    EXPECT_EQ(faulty.generate("second"), CKR_DEVICE_REMOVED);
    EXPECT_EQ(faulty.server.outcome(), 0);
    EXPECT_EQ(faulty.generate("third"), CKR_DEVICE_REMOVED);
  }
}

TEST(Faults, VanishAfterLeavesATokenObjectBehind) {
  ForwardServer server("C_CreateObject 1 vanish-after\n");
  pkcs11::Template data;
  data.number(CKA_CLASS, CKO_DATA).flag(CKA_TOKEN, true).text(CKA_LABEL, "left").text(CKA_VALUE, "x");
  auto attributes = data.attributes();
  {
    const pkcs11::Module module = server.module();
    RawSession session(module);
    CK_OBJECT_HANDLE object = 0;
    EXPECT_EQ(session->C_CreateObject(session.handle(), attributes.data(), attributes.size(), &object),
              CKR_DEVICE_REMOVED);
  }
  EXPECT_EQ(server.outcome(), 0);
  server.set_faults("");
  server.start();
  const pkcs11::Module module = server.module();
  EXPECT_NE(RawSession(module).find("left"), 0U);
}

TEST(Faults, KillEndsTheCaller) {
  ForwardServer server("C_GenerateRandom 1 kill\n");
  const auto ask = [&] {
    const pkcs11::Module module = server.module();
    const RawSession session(module);
    Bytes out(8);
    session->C_GenerateRandom(session.handle(), out.data(), out.size());
  };
  EXPECT_EXIT(ask(), ::testing::KilledBySignal(SIGKILL), "");
  server.set_faults("");
  EXPECT_NO_THROW(ask());  // the server lives on, and has finalized for the dead client
}

TEST(Faults, DelayWaits) {
  Faulty faulty("C_GenerateKey 1 delay 300\n");
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(faulty.generate("slow"), CKR_OK);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(300));
}

TEST(Faults, ShortTellsTheTrueLengthAndGivesNothing) {
  Faulty faulty("C_GetAttributeValue 1 short\nC_WrapKey 1 short\n");
  ASSERT_EQ(faulty.generate("key"), CKR_OK);
  std::array<char, 16> label{};
  CK_ATTRIBUTE attribute{CKA_LABEL, label.data(), label.size()};
  const auto get = [&] {
    return faulty.session->C_GetAttributeValue(faulty.session.handle(), faulty.key, &attribute, 1);
  };
  EXPECT_EQ(get(), CKR_BUFFER_TOO_SMALL);
  EXPECT_EQ(attribute.ulValueLen, 3U);
  EXPECT_EQ(label[0], 0);
  EXPECT_EQ(get(), CKR_OK);
  EXPECT_EQ(label[0], 'k');
  const CK_OBJECT_HANDLE kek = faulty.session.import_aes(Bytes(16, 3));
  CK_MECHANISM mechanism{CKM_AES_KEY_WRAP, nullptr, 0};
  Bytes out(64);
  CK_ULONG size = out.size();
  EXPECT_EQ(
      faulty.session->C_WrapKey(faulty.session.handle(), &mechanism, kek, faulty.key, out.data(), &size),
      CKR_BUFFER_TOO_SMALL);
  EXPECT_EQ(size, 24U);
  EXPECT_EQ(out, Bytes(64));
}

TEST(Faults, LieTellsALengthBeyondTheBufferAndNeverWritesThere) {
  Faulty faulty("C_FindObjects 2 lie\nC_WrapKey 1 lie 7\n");
  ASSERT_EQ(faulty.generate("key"), CKR_OK);
  ASSERT_TRUE(faulty.has("key"));
  std::array<CK_OBJECT_HANDLE, 4> found{};
  CK_ULONG count = 0;
  const auto& session = faulty.session;
  ASSERT_EQ(session->C_FindObjectsInit(session.handle(), nullptr, 0), CKR_OK);
  EXPECT_EQ(session->C_FindObjects(session.handle(), found.data(), 2, &count), CKR_OK);
  EXPECT_EQ(count, 65537U);
  EXPECT_NE(found[0], 0U);
  EXPECT_EQ(found[2], 0U);
  const CK_OBJECT_HANDLE kek = faulty.session.import_aes(Bytes(16, 3));
  EXPECT_EQ(faulty.session.wrap({CKM_AES_KEY_WRAP, nullptr, 0}, kek, faulty.key).size(), 7U);
  EXPECT_EQ(faulty.session.wrap({CKM_AES_KEY_WRAP, nullptr, 0}, kek, faulty.key).size(), 24U);
}

TEST(Faults, HandleGivesAWrongOne) {
  Faulty faulty("C_GenerateKey 1 handle\nC_GenerateKey 2 handle 4242\n");
  EXPECT_EQ(faulty.generate("one"), CKR_OK);
  EXPECT_EQ(faulty.key, 0U);
  EXPECT_EQ(faulty.generate("two"), CKR_OK);
  EXPECT_EQ(faulty.key, 4242U);
  EXPECT_EQ(faulty.generate("three"), CKR_OK);
  EXPECT_EQ(faulty.session.find("three"), faulty.key);
}

// A token that ignores the caller's IV: the one it used is in the caller's buffer afterwards.
TEST(Faults, OwnIvIsTold) {
  for (const std::string when : {"", " late"}) {
    Faulty faulty("own-iv" + when + "\n");
    const CK_OBJECT_HANDLE key = faulty.session.import_aes(Bytes(16, 0x42));
    Bytes iv(12), plain(100, 1), out(200), back(200);
    CK_GCM_PARAMS gcm{iv.data(), iv.size(), 96, plain.data(), 10, 128};
    CK_MECHANISM mechanism{CKM_AES_GCM, &gcm, sizeof gcm};
    const auto& session = faulty.session;
    ASSERT_EQ(session->C_EncryptInit(session.handle(), &mechanism, key), CKR_OK);
    EXPECT_EQ(iv == Bytes(12), !when.empty());
    CK_ULONG size = out.size();
    ASSERT_EQ(session->C_Encrypt(session.handle(), plain.data(), plain.size(), out.data(), &size), CKR_OK);
    EXPECT_NE(iv, Bytes(12));
    CK_ULONG back_size = back.size();
    ASSERT_EQ(session->C_DecryptInit(session.handle(), &mechanism, key), CKR_OK);
    ASSERT_EQ(session->C_Decrypt(session.handle(), out.data(), size, back.data(), &back_size), CKR_OK);
    back.resize(back_size);
    EXPECT_EQ(back, plain);
  }
}

TEST(Faults, CountsBeginAgainAtEachInitialize) {
  ForwardServer server("C_GenerateRandom 2 return 0x30\nC_Initialize 2 return 0x30\n");
  const auto second_result = [&] {
    const pkcs11::Module module = server.module();
    const RawSession session(module);
    Bytes out(8);
    EXPECT_EQ(session->C_GenerateRandom(session.handle(), out.data(), out.size()), CKR_OK);
    return session->C_GenerateRandom(session.handle(), out.data(), out.size());
  };
  EXPECT_EQ(second_result(), CKR_DEVICE_ERROR);
  EXPECT_THROW(static_cast<void>(server.module()), Error);
  EXPECT_EQ(second_result(), CKR_DEVICE_ERROR);
  server.set_faults("");
  EXPECT_EQ(second_result(), CKR_OK);
}

// A rule that would do nothing must not pass for one that did.
TEST(Faults, ARuleThatCannotBeReadStopsTheServer) {
  for (const char* rule :
       {"C_Nothing 1 vanish", "C_Encrypt 0 vanish", "C_Encrypt 1 explode", "C_Encrypt 1 return",
        "C_Encrypt x vanish", "C_Encrypt 1", "C_Login 1 lie", "C_Encrypt 1 handle", "own-iv early"}) {
    ForwardServer server(std::string(rule) + "\n");
    EXPECT_THROW(static_cast<void>(server.module()), Error) << rule;
    EXPECT_EQ(server.outcome(), kFaultsUnreadable) << rule;
  }
}

}  // namespace
}  // namespace qpcseal::testing
