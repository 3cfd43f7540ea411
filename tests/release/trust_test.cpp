// SPDX-License-Identifier: Apache-2.0
// What reports are verified with is what the log names: the trust folder of the genesis, or after an import
// the bundle and nothing but the bundle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/site/appliance.h"
#include "appliance/trust/collateral_bundle.h"
#include "base/file.h"
#include "tests/attest/test_card.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::release {
namespace {

using qpcseal::testing::kDay;
using qpcseal::testing::kTestNow;
using qpcseal::testing::make_crl;
using qpcseal::testing::TempFolder;
using qpcseal::testing::TestCard;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class PinnedTrust : public ::testing::Test {
 protected:
  TempFolder dir;
  site::Home home{dir.path()};
  TestCard card, other;
  audit::State state;
  Bytes root = card.root.der(), crl = make_crl(card.issuer, {});

  void SetUp() override {
    make_folder(home.trust());
    put("root.der", root);
    put("issuer.crl", crl);
    state.trust_digest = to_hex(trust::read_trust(home.trust()).digest);
    state.genesis = {{"trust", state.trust_digest}};
  }
  void put(const char* name, const Bytes& bytes) const {
    write_file(home.trust() / name, bytes, Existing::Replace);
  }
  [[nodiscard]] trust::Collateral bundle(std::uint64_t serial) const {
    return {serial,
            kTestNow,
            kTestNow + kDay,
            {other.root.der()},
            {make_crl(other.issuer, {.number = 7})},
            {{"boot 1.0", {Bytes(32, 5)}}},
            {card.ueid}};
  }
  void write(const std::string& text) const { write_file(home.collateral(), view(text), Existing::Replace); }
  void bring_in(const trust::Collateral& next) {
    const std::string text = trust::encode_collateral(next);
    write(text);
    state.collateral_serial = next.serial;
    state.trust_digest = sha256_hex(text);
  }
  [[nodiscard]] trust::Trust read() const { return site::read_pinned_trust(home, state); }

  // The folder as each careless or hostile hand may leave it.
  void expect_each_change_of_the_folder_refused() const {
    EXPECT_NO_THROW(static_cast<void>(read()));
    put("more.crl", make_crl(card.root, {}));
    EXPECT_ERROR(Denied, "the trust folder is not the one in the log", read());
    std::filesystem::rename(home.trust() / "more.crl", home.trust() / "notes.txt");
    EXPECT_ERROR(Malformed, "neither a certificate", read());
    std::filesystem::remove(home.trust() / "notes.txt");
    put("root.der", other.root.der());
    EXPECT_ERROR(Denied, "the trust folder is not the one in the log", read());
    put("root.der", root);
    std::filesystem::rename(home.trust() / "issuer.crl", home.trust() / "issuer2.crl");
    EXPECT_ERROR(Denied, "the trust folder is not the one in the log", read());
    std::filesystem::remove(home.trust() / "issuer2.crl");
    EXPECT_ERROR(Denied, "the trust folder is not the one in the log", read());
    std::filesystem::remove(home.trust() / "root.der");
    EXPECT_ERROR(Malformed, "holds no root", read());
    std::filesystem::remove(home.trust());
    EXPECT_ERROR(Io, "trust", read());
  }
};

TEST_F(PinnedTrust, TheFolderIsThatOfTheGenesis) {
  state.crl_numbers = {{Bytes(3, 1), Bytes(1, 9)}};
  const trust::Trust trust = read();
  ASSERT_EQ(trust.roots.size(), 1U);
  ASSERT_EQ(trust.crls.size(), 1U);
  EXPECT_EQ(trust.roots[0].der, root);
  EXPECT_EQ(trust.crls[0].der, crl);
  EXPECT_EQ(trust.crl_floors, state.crl_numbers);
  EXPECT_FALSE(trust.collateral.present);
  expect_each_change_of_the_folder_refused();
}

TEST_F(PinnedTrust, AfterAnImportTheBundleAndNothingElseCounts) {
  const trust::Collateral in_force = bundle(3);
  bring_in(in_force);
  state.crl_numbers = {{Bytes(3, 1), Bytes(1, 9)}};
  const trust::Trust trust = read();
  ASSERT_EQ(trust.roots.size(), 1U);
  ASSERT_EQ(trust.crls.size(), 1U);
  EXPECT_EQ(trust.roots[0].der, in_force.roots[0]);
  EXPECT_EQ(trust.crls[0].der, in_force.crls[0]);
  EXPECT_EQ(trust.crl_floors, state.crl_numbers);
  EXPECT_TRUE(trust.collateral.present);
  EXPECT_EQ(trust.collateral.serial, 3U);
  EXPECT_EQ(trust.collateral.not_before, in_force.not_before);
  EXPECT_EQ(trust.collateral.not_after, in_force.not_after);
  EXPECT_EQ(trust.collateral.references, in_force.references);
  EXPECT_EQ(trust.collateral.revoked_ueids, in_force.revoked_ueids);
  EXPECT_EQ(to_hex(trust.digest), state.trust_digest);
}

TEST_F(PinnedTrust, AfterAnImportTheFolderStaysAsItWas) {
  bring_in(bundle(3));
  expect_each_change_of_the_folder_refused();
}

TEST_F(PinnedTrust, AnotherBundleThanTheImportedOneIsRefused) {
  const std::string older = trust::encode_collateral(bundle(2));
  trust::Collateral kinder = bundle(3);
  kinder.revoked_ueids.clear();
  bring_in(bundle(3));
  for (const std::string& text :
       {older, trust::encode_collateral(kinder), std::string("{}\n"), std::string()}) {
    write(text);
    EXPECT_ERROR(Denied, "is not the collateral bundle in the log", read());
  }
  std::filesystem::remove(home.collateral());
  EXPECT_ERROR(Io, "collateral.json", read());
}

TEST_F(PinnedTrust, ABundleThatNobodyImportedIsRefused) {
  write(trust::encode_collateral(bundle(3)));
  EXPECT_ERROR(Denied, "the log has no collateral bundle", read());
}

TEST_F(PinnedTrust, ABundleIsReadInItsOneFormOnly) {
  const std::string text = trust::encode_collateral(bundle(3));
  EXPECT_EQ(trust::encode_collateral(trust::parse_collateral(text)), text);
  trust::Collateral wrong = bundle(0);
  EXPECT_ERROR(Malformed, "serial is 0", trust::encode_collateral(wrong));
  wrong = bundle(3);
  wrong.not_after = wrong.not_before;
  EXPECT_ERROR(Malformed, "never fresh", trust::encode_collateral(wrong));
  wrong = bundle(3);
  wrong.roots.clear();
  EXPECT_ERROR(Malformed, "no root", trust::encode_collateral(wrong));
  wrong = bundle(3);
  wrong.roots[0].push_back(0);
  EXPECT_ERROR(Malformed, "certificate", trust::encode_collateral(wrong));
  wrong = bundle(3);
  wrong.crls = {make_crl(other.issuer, {.number = std::nullopt})};
  EXPECT_ERROR(Malformed, "no crlNumber", trust::encode_collateral(wrong));
  for (const std::size_t size : {6U, 34U}) {
    wrong = bundle(3);
    wrong.revoked_ueids = {Bytes(size, 1)};
    EXPECT_ERROR(Malformed, "7 to 33", trust::encode_collateral(wrong));
  }
}

}  // namespace
}  // namespace qpcseal::release
