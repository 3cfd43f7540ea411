// SPDX-License-Identifier: Apache-2.0
// MEKs from one token to another, and from files: SoftHSM2 and, where it is installed, NSS softoken.
#include <gtest/gtest.h>

#include <algorithm>

#include "appliance/keys/recovery_key.h"
#include "base/random.h"
#include "tests/base/expect_error.h"
#include "tests/support/tokens.h"

namespace qpcseal::keys {
namespace {

using pkcs11::Access;
using pkcs11::ScopedObject;
using pkcs11::Session;
using testing::TestToken;

const Bytes kId(16, 0x42), kHeader(32, 0x07), kNonce(32, 0x09);

class Backups {
 public:
  explicit Backups(TestToken& token)
      : session_(token.session()),
        fresh_(token.module(), token.info(), Access::ReadOnly),
        accept_(probe_desired(session_)),
        mek_(generate_mek(session_, fresh_, "net", 1, kId, accept_)),
        key_(make_recovery_key(session_, fresh_)) {}

  [[nodiscard]] Peer peer() const { return recovery_peer(key_.point, kHeader); }
  WrappedMek wrap(Suite suite) { return wrap_mek(session_, mek_, suite, peer(), kNonce); }
  pkcs11::Object open(const WrappedMek& wrapped, const Peer& peer, pkcs11::Template attributes) {
    return unwrap_mek(session_, key_, wrapped, peer, kId, std::move(attributes), "key");
  }
  Mek restore(const WrappedMek& wrapped, Origin origin) {
    session_.destroy(mek_.object);
    const auto made = open(wrapped, peer(), mek_template("net#1", kId, accept_, origin));
    return check_made(session_, fresh_, made, "net#1", kId, accept_, origin);
  }

  Session& session_;
  Session fresh_;
  std::vector<std::string> accept_;
  Mek mek_;
  RecoveryKey key_;
  SystemRandom random_;
};

void round_trip(TestToken& token, Suite suite) {
  Backups test(token);
  const Bytes check = make_check_value(test.session_, test.mek_.object, kId, test.random_);
  const WrappedMek wrapped = test.wrap(suite);
  {
    const ScopedObject back(test.session_, test.open(wrapped, test.peer(), checking_template()));
    EXPECT_TRUE(check_value_holds(test.session_, back.get(), kId, check));
    Bytes other = check;
    other[20] ^= 1;
    EXPECT_FALSE(check_value_holds(test.session_, back.get(), kId, other));
    EXPECT_FALSE(check_value_holds(test.session_, back.get(), Bytes(16, 0x43), check));
    EXPECT_FALSE(check_value_holds(test.session_, back.get(), kId, Bytes(5)));
  }
  const Mek restored = test.restore(wrapped, Origin::Restored);
  for (const AttributeReport& report :
       inspect_mek(test.fresh_, restored.object, test.accept_, Origin::Restored))
    EXPECT_TRUE(report.good || report.accepted) << report.name << " " << report.observed;
  EXPECT_EQ(test.fresh_.flag(restored.object, CKA_ENCRYPT), false);
  // It wraps, to the same key again.
  const ScopedObject again(
      test.session_,
      unwrap_mek(test.session_, test.key_, wrap_mek(test.session_, restored, suite, test.peer(), kNonce),
                 test.peer(), kId, checking_template(), "key"));
  EXPECT_TRUE(check_value_holds(test.session_, again.get(), kId, check));
}

TEST(SoftHsmBackup, ComesBackBySuite2) {
  const auto token = TestToken::softhsm();
  EXPECT_EQ(probe_opening(token->session()), std::vector<Suite>{Suite::EcdhEcbKdf});
  round_trip(*token, Suite::EcdhEcbKdf);
}

TEST(NssBackup, ComesBackBySuite1) {
  const auto token = TestToken::nss();
  if (!token) GTEST_SKIP() << "NSS softoken is not installed";
  const auto suites = probe_opening(token->session());
  ASSERT_FALSE(suites.empty());
  EXPECT_EQ(suites.front(), Suite::EcdhX963);
  round_trip(*token, Suite::EcdhX963);
}

TEST(SoftHsmBackup, OpensForItsHeaderMekAndDomainAlone) {
  const auto token = TestToken::softhsm();
  Backups test(*token);
  const WrappedMek wrapped = test.wrap(Suite::EcdhEcbKdf);
  EXPECT_ERROR(Denied, "does not open",
               test.open(wrapped, recovery_peer(test.key_.point, Bytes(32, 0x08)), checking_template()));
  Peer card = test.peer();
  card.domain = kWrapDomain;
  EXPECT_ERROR(Denied, "does not open", test.open(wrapped, card, checking_template()));
  WrappedMek other = wrapped;
  other.nonce[0] ^= 1;
  EXPECT_ERROR(Denied, "does not open", test.open(other, test.peer(), checking_template()));
  other = wrapped;
  other.encrypt.back() ^= 1;
  EXPECT_ERROR(Denied, "does not open", test.open(other, test.peer(), checking_template()));
  other = wrapped;
  other.encrypt[7] ^= 1;  // the MEK id
  EXPECT_ERROR(Malformed, "not a MEK", test.open(other, test.peer(), checking_template()));
  other = wrapped;
  other.pub[40] ^= 1;
  EXPECT_ERROR(Malformed, "not a MEK", test.open(other, test.peer(), checking_template()));
}

TEST(SoftHsmBackup, OneRecoveryKeyAToken) {
  const auto token = TestToken::softhsm();
  Session fresh(token->module(), token->info(), Access::ReadOnly);
  EXPECT_EQ(find_recovery_key(token->session()), std::nullopt);
  const RecoveryKey made = make_recovery_key(token->session(), fresh);
  EXPECT_ERROR(Token, "already", make_recovery_key(token->session(), fresh));
  const auto found = find_recovery_key(fresh);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->point, made.point);
  EXPECT_EQ(fresh.flag(found->private_key, CKA_EXTRACTABLE), false);
  EXPECT_EQ(fresh.attribute(found->private_key, CKA_VALUE), std::nullopt);
  destroy_recovery_key(token->session());
  EXPECT_EQ(find_recovery_key(fresh), std::nullopt);
}

TEST(SoftHsmImport, TakesAKeyWithTheAttributesOfItsOrigin) {
  const auto token = TestToken::softhsm();
  Session fresh(token->module(), token->info(), Access::ReadOnly);
  SecretBuffer value(16);
  std::ranges::fill(value.bytes(), std::uint8_t{0x5a});
  const Mek mek = import_mek(token->session(), fresh, "old", 1, kId, value, {});
  for (const AttributeReport& report : inspect_mek(fresh, mek.object, {}, Origin::Imported))
    EXPECT_TRUE(report.good) << report.name << " " << report.observed;
  // A generated key's table does not fit it: it says where a key came from.
  const auto reports = inspect_mek(fresh, mek.object, {}, Origin::Generated);
  EXPECT_TRUE(std::ranges::any_of(reports, [](const auto& r) { return r.name == "CKA_LOCAL" && !r.good; }));
  EXPECT_EQ(fresh.attribute(mek.object, CKA_VALUE), std::nullopt);
}

TEST(SoftHsmPin, ChangesWithOneTry) {
  const auto token = TestToken::softhsm();
  SecretBuffer wrong(6), next(8);
  std::ranges::fill(wrong.bytes(), std::uint8_t{'x'});
  std::ranges::fill(next.bytes(), std::uint8_t{'n'});
  EXPECT_ERROR(Token, "C_SetPIN", token->session().set_pin(wrong, next));
  token->session().set_pin(testing::test_pin(), next);
  token->module().calls().C_CloseAllSessions(token->info().slot);
  Session again(token->module(), token->info(), Access::ReadOnly);
  again.login(next);
}

}  // namespace
}  // namespace qpcseal::keys
