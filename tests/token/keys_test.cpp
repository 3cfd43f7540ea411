// SPDX-License-Identifier: Apache-2.0
// Keys in real tokens: SoftHSM2 and, where it is installed, NSS softoken.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "appliance/keys/gcm_key.h"
#include "appliance/keys/mek.h"
#include "appliance/keys/signing.h"
#include "appliance/keys/spki.h"
#include "appliance/keys/wrap.h"
#include "base/error.h"
#include "tests/support/tokens.h"

namespace qpcseal::keys {
namespace {

using pkcs11::Access;
using pkcs11::Session;
using ::testing::HasSubstr;
using testing::TestToken;

const Bytes kTestId(16, 0x42);

ErrorKind kind_of(const std::function<void()>& act, std::string* message = nullptr) {
  try {
    act();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.kind();
  }
  ADD_FAILURE() << "no error";
  return ErrorKind::Internal;
}

std::vector<std::string> lacking(TestToken& token) { return probe_desired(token.session()); }

bool has(const std::vector<SuiteAbility>& list, Suite suite, PeerType type) {
  return std::any_of(list.begin(), list.end(),
                     [&](const auto& a) { return a.suite == suite && a.type == type; });
}

TEST(SoftHsm, MakesAMekWithAllThatIsAskedFor) {
  const auto token = TestToken::softhsm();
  EXPECT_TRUE(lacking(*token).empty());
  Session fresh(token->module(), token->info(), Access::ReadOnly);
  const Mek mek = generate_mek(token->session(), fresh, "resnet50", 1, kTestId, {});
  EXPECT_EQ(mek.label, "resnet50#1");
  EXPECT_EQ(mek.id, kTestId);
  for (const AttributeReport& report : inspect_mek(fresh, mek.object, {}))
    EXPECT_TRUE(report.good) << report.name << " " << report.observed;
  // The value stays in the token.
  EXPECT_EQ(fresh.attribute(mek.object, CKA_VALUE), std::nullopt);
}

TEST(SoftHsm, NamesOneMekOrNone) {
  const auto token = TestToken::softhsm();
  Session& session = token->session();
  Session fresh(token->module(), token->info(), Access::ReadOnly);
  generate_mek(session, fresh, "net", 1, kTestId, {});
  EXPECT_EQ(find_mek(session, "net").label, "net#1");
  EXPECT_EQ(find_mek(session, "net#1").label, "net#1");
  EXPECT_EQ(find_mek(session, "pkcs11:object=net%231").label, "net#1");
  EXPECT_EQ(find_mek(session, "pkcs11:token=test;id=%42%42%42%42%42%42%42%42%42%42%42%42%42%42%42%42").label,
            "net#1");
  EXPECT_EQ(kind_of([&] { find_mek(session, "other"); }), ErrorKind::Token);
  EXPECT_EQ(kind_of([&] { find_mek(session, "pkcs11:object=net%231;token=elsewhere"); }), ErrorKind::Token);
  EXPECT_EQ(kind_of([&] { find_mek(session, "/tmp/MEK.dat"); }), ErrorKind::Malformed);
  generate_mek(session, fresh, "net", 1, Bytes(16, 0x43), {});
  std::string message;
  EXPECT_EQ(kind_of([&] { find_mek(session, "net#1"); }, &message), ErrorKind::Token);
  EXPECT_THAT(message, HasSubstr("2 keys match"));
}

TEST(SoftHsm, ServesSuites2And4) {
  const auto token = TestToken::softhsm();
  const auto suites = probe_suites(token->session());
  EXPECT_TRUE(has(suites, Suite::EcdhEcbKdf, PeerType::P256));
  EXPECT_TRUE(has(suites, Suite::OaepSha1, PeerType::Rsa));
  EXPECT_FALSE(has(suites, Suite::EcdhX963, PeerType::P256));
  EXPECT_FALSE(has(suites, Suite::OaepSha256, PeerType::Rsa));
}

TEST(SoftHsm, SignsWithEd25519) {
  const auto token = TestToken::softhsm();
  ASSERT_EQ(probe_signing(token->session()), SigningType::Ed25519);
  EXPECT_FALSE(has_signing_keys(token->session()));
  generate_signing_key(token->session(), kSealKeyLabel, SigningType::Ed25519);
  EXPECT_TRUE(has_signing_keys(token->session()));
  SigningKey key(token->session(), kSealKeyLabel);
  const Bytes signature = key.sign(view("message"));
  EXPECT_TRUE(verify_with_spki(key.spki(), view("message"), signature));
  EXPECT_FALSE(verify_with_spki(key.spki(), view("massage"), signature));
}

TEST(SoftHsm, SignsWithEcdsaToo) {
  const auto token = TestToken::softhsm();
  generate_signing_key(token->session(), kLogKeyLabel, SigningType::EcdsaP256);
  SigningKey key(token->session(), kLogKeyLabel);
  EXPECT_EQ(key.type(), SigningType::EcdsaP256);
  EXPECT_EQ(key.sign(view("message")).size(), 64U);
  LogSigner signer(key);
  const tlog::VerifierKey verifier("log", signer.type(), signer.public_key());
  EXPECT_TRUE(verifier.verify(view("message"), signer.sign(view("message"))));
}

TEST(SoftHsm, EncryptsInPieces) {
  const auto token = TestToken::softhsm();
  const pkcs11::GcmAbility ability = pkcs11::probe_gcm(token->session());
  EXPECT_TRUE(ability.multipart);
  EXPECT_EQ(ability.iv, pkcs11::IvRule::Caller);
}

TEST(SoftHsm, AWrongPinIsTriedOnce) {
  const auto token = TestToken::softhsm();
  Session other(token->module(), token->info(), Access::ReadOnly);
  token->module().calls().C_CloseAllSessions(token->info().slot);
  Session again(token->module(), token->info(), Access::ReadOnly);
  SecretBuffer pin(5);
  std::string message;
  EXPECT_EQ(kind_of([&] { again.login(pin); }, &message), ErrorKind::Token);
  EXPECT_THAT(message, HasSubstr("CKR_PIN_INCORRECT (0xa0)"));
}

TEST(SoftHsm, AChangedModuleIsRefused) {
  const testing::TemporaryFolder dir;
  const auto copied = dir.path() / "module.so";
  std::filesystem::copy_file("/usr/lib/softhsm/libsofthsm2.so", copied);
  Sha256Digest other = pkcs11::Module::digest_of(copied);
  other[0] ^= 1;
  std::string message;
  EXPECT_EQ(kind_of([&] { pkcs11::Module(copied, other, ""); }, &message), ErrorKind::Token);
  EXPECT_THAT(message, HasSubstr("not the pinned"));
  std::filesystem::permissions(copied, std::filesystem::perms::others_write,
                               std::filesystem::perm_options::add);
  EXPECT_EQ(kind_of([&] { pkcs11::Module(copied, pkcs11::Module::digest_of(copied), ""); }),
            ErrorKind::Token);
  EXPECT_EQ(kind_of([&] { pkcs11::Module("module.so", other, ""); }), ErrorKind::Usage);
}

TEST(NssSoftoken, ServesSuite1AndSignsWithEcdsa) {
  const auto token = TestToken::nss();
  if (!token) GTEST_SKIP() << "NSS softoken is not installed";
  const auto suites = probe_suites(token->session());
  EXPECT_TRUE(has(suites, Suite::EcdhX963, PeerType::P256));
  EXPECT_TRUE(has(suites, Suite::EcdhX963, PeerType::P384));
  EXPECT_TRUE(has(suites, Suite::EcdhEcbKdf, PeerType::P256));
  EXPECT_TRUE(has(suites, Suite::OaepSha256, PeerType::Rsa));
  EXPECT_EQ(probe_signing(token->session()), SigningType::EcdsaP256);
  EXPECT_FALSE(pkcs11::probe_gcm(token->session()).multipart);
}

TEST(NssSoftoken, MakesAMekWithoutWhatItLacks) {
  const auto token = TestToken::nss();
  if (!token) GTEST_SKIP() << "NSS softoken is not installed";
  const auto missing = lacking(*token);
  EXPECT_THAT(missing, ::testing::IsSupersetOf({"not-copyable", "allowed-mechanisms", "local"}));
  Session fresh(token->module(), token->info(), Access::ReadOnly);
  EXPECT_EQ(kind_of([&] { generate_mek(token->session(), fresh, "net", 1, kTestId, {}); }), ErrorKind::Token);
  const Mek mek = generate_mek(token->session(), fresh, "net", 2, kTestId, missing);
  for (const AttributeReport& report : inspect_mek(fresh, mek.object, missing))
    EXPECT_TRUE(report.good || report.accepted) << report.name << " " << report.observed;
}

}  // namespace
}  // namespace qpcseal::keys
