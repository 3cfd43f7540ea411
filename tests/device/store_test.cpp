// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "device/card/card.h"
#include "device/card/card_store.h"
#include "device/card/keys.h"
#include "device/card/policy_text.h"
#include "policy/policy.h"
#include "tests/device/support.h"

namespace qpcseal::device {
namespace {

using qpcseal::testing::Cards;
using ::testing::ElementsAre;

template <typename Act>
ErrorKind kind_of(Act&& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorKind::Internal;
}

unsigned mode_of(const std::filesystem::path& path) {
  struct ::stat info{};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777U;
}

std::string seal_key_pem(const char* algorithm, const char* curve) {
  const KeyPtr key(curve != nullptr ? EVP_PKEY_Q_keygen(nullptr, nullptr, algorithm, curve)
                                    : EVP_PKEY_Q_keygen(nullptr, nullptr, algorithm));
  const Owned<BIO, BIO_free_all> out(BIO_new(BIO_s_mem()));
  PEM_write_bio_PUBKEY(out.get(), key.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

TEST(Store, SecretsAreForTheirOwnerAlone) {
  const Cards cards;
  const std::filesystem::path folder = card_folder(cards.dir, 0);
  for (const char* name : {"device.pem", "boot/session.pem", "boot/bootseed", "boot/answered-nonces"})
    EXPECT_EQ(mode_of(folder / name), 0600U) << name;
  for (const char* name : {"", "boot"}) EXPECT_EQ(mode_of(folder / name), 0700U) << name;
}

TEST(Store, ProvisioningNeverReplacesACard) {
  const Cards cards;
  const Bytes before = open_card(cards.dir, 0).ueid;
  ProvisionOptions again;
  again.dir = cards.dir;
  again.roots_out = cards.folder / "other-root.pem";
  EXPECT_EQ(kind_of([&] { provision(again, SystemClock()); }), ErrorKind::Io);
  EXPECT_EQ(open_card(cards.dir, 0).ueid, before);
  EXPECT_FALSE(std::filesystem::exists(again.roots_out));
}

TEST(Store, ProvisioningNeverReplacesARoot) {
  const Cards cards;
  ProvisionOptions other;
  other.dir = cards.folder / "other";
  other.roots_out = cards.folder / "root.pem";
  EXPECT_EQ(kind_of([&] { provision(other, SystemClock()); }), ErrorKind::Io);
  EXPECT_FALSE(std::filesystem::exists(other.dir));
}

TEST(Store, NumbersAreListedInOrder) {
  ProvisionOptions options;
  options.cards = 11;
  const Cards cards(options);
  std::filesystem::create_directory(cards.dir / "cards" / "no-number");
  EXPECT_THAT(card_numbers(cards.dir), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
  EXPECT_EQ(kind_of([&] { static_cast<void>(card_numbers(cards.folder / "nowhere")); }), ErrorKind::Io);
}

TEST(Store, DamagedStateIsMalformed) {
  const Cards cards;
  const std::filesystem::path folder = card_folder(cards.dir, 0);
  for (const char* name : {"config.json", "boot/session.pem", "boot/bootseed", "boot/answered-nonces"}) {
    const Bytes good = read_file(folder / name, 65536);
    write_file(folder / name, view("damaged"), Existing::Replace, 0600);
    EXPECT_EQ(kind_of([&] { static_cast<void>(open_card(cards.dir, 0)); }), ErrorKind::Malformed) << name;
    write_file(folder / name, good, Existing::Replace, 0600);
  }
  EXPECT_NO_THROW(static_cast<void>(open_card(cards.dir, 0)));
}

TEST(Store, ThereIsNoCardWithoutItsFolder) {
  const Cards cards;
  EXPECT_EQ(kind_of([&] { static_cast<void>(open_card(cards.dir, 1)); }), ErrorKind::Io);
  EXPECT_EQ(kind_of([&] { reset_card(cards.dir, 1); }), ErrorKind::Io);
}

TEST(SealKey, IsEd25519OrP256) {
  const Cards cards;
  EXPECT_EQ(open_card(cards.dir, 0).seal_key, nullptr);
  for (const std::string& pem : {seal_key_pem("ED25519", nullptr), seal_key_pem("EC", "P-256")}) {
    write_seal_key(cards.dir, 0, view(pem));
    const Card card = open_card(cards.dir, 0);
    ASSERT_NE(card.seal_key, nullptr);
    EXPECT_EQ(EVP_PKEY_eq(card.seal_key.get(), parse_seal_key(view(pem)).get()), 1);
  }
  for (const std::string& pem :
       {seal_key_pem("EC", "P-384"), seal_key_pem("X25519", nullptr), std::string("x")})
    EXPECT_EQ(kind_of([&] { write_seal_key(cards.dir, 0, view(pem)); }), ErrorKind::Malformed);
}

TEST(SealKey, OutlivesAReset) {
  const Cards cards;
  write_seal_key(cards.dir, 0, view(seal_key_pem("ED25519", nullptr)));
  reset_card(cards.dir, 0);
  EXPECT_NE(open_card(cards.dir, 0).seal_key, nullptr);
}

TEST(Keys, SessionPublicKeysPassTheAppliancesChecks) {
  for (const auto type :
       {attest::SessionKeyType::P256, attest::SessionKeyType::P384, attest::SessionKeyType::Rsa}) {
    const KeyPtr key = make_session_key(type);
    const attest::SessionKey shown = session_public_key(key.get());
    EXPECT_EQ(shown.type, type);
    EXPECT_NO_THROW(attest::check_session_key(shown));
    const Bytes encoded = encode_cose_key(key.get());
    EXPECT_EQ(attest::parse_session_key(cbor::parse(encoded, cbor::Level::Deterministic, "key")), shown);
  }
}

TEST(PolicyText, IsAValidPolicyThatTheCardKeeps) {
  for (const unsigned lifecycle : {0U, 1U, 2U, 3U}) {
    ProvisionOptions options;
    options.cards = 2;
    options.lifecycle = lifecycle;
    options.debug = lifecycle == 0;
    const Cards cards(options);
    const policy::Policy parsed = policy::parse_policy(policy_for(cards.dir, 1, qpcseal::testing::now()));
    ASSERT_EQ(parsed.devices.size(), 1U);
    const policy::DeviceClass& cls = parsed.devices.front();
    const CardConfig config = read_config(cards.dir, 1);
    EXPECT_EQ(cls.scheme.value, attest::make_eat_card_scheme()->id());
    const Sha256Digest root = cards.context().anchors.allowed.front();
    EXPECT_THAT(cls.roots.value, ElementsAre(copy(root)));
    EXPECT_EQ(cls.oemid.value, config.oemid);
    EXPECT_EQ(cls.hwmodel.value, config.hwmodel);
    EXPECT_EQ(cls.hwversion.value, config.hwversion);
    EXPECT_EQ(cls.min_dbgstat.value, config.dbgstat);
    EXPECT_THAT(cls.lifecycle.value.value(), ElementsAre(attest::lifecycle_name(lifecycle)));
    EXPECT_THAT(cls.session_keys.value, ElementsAre("p256"));
    EXPECT_THAT(cls.ueids.value.value(), ElementsAre(read_config(cards.dir, 0).ueid, config.ueid));
    EXPECT_TRUE(cls.submods.value.empty());
    ASSERT_EQ(cls.measurements.size(), config.measurements.size());
    for (std::size_t i = 0; i < config.measurements.size(); ++i) {
      EXPECT_EQ(cls.measurements[i].name, config.measurements[i].name);
      EXPECT_THAT(cls.measurements[i].digests, ElementsAre(config.measurements[i].digest));
      EXPECT_EQ(cls.measurements[i].min_svn, config.measurements[i].svn);
    }
  }
}

TEST(PolicyText, NamesEveryOperationAndCoversEveryKey) {
  const Cards cards;
  const policy::Policy parsed = policy::parse_policy(policy_for(cards.dir, 0, qpcseal::testing::now()));
  for (const std::string_view operation : policy::operations())
    EXPECT_FALSE(parsed.is_weak(operation)) << operation;
  EXPECT_EQ(parsed.approvals_for("site-change"), 1);
  EXPECT_EQ(parsed.approvals_for("mek-generate"), 0);
  EXPECT_GT(parsed.expires.value, qpcseal::testing::now());
  const policy::MekRule* rule = parsed.mek("any#1");
  ASSERT_NE(rule, nullptr);
  EXPECT_THAT(rule->modes.value, ElementsAre("token"));
  EXPECT_THAT(rule->suites.value, ElementsAre(1U, 2U, 3U));
  EXPECT_EQ(rule->max_encryptions.value, policy::kMaxEncryptions);
}

}  // namespace
}  // namespace qpcseal::device
