// SPDX-License-Identifier: Apache-2.0
// Every listed officer signs the genesis, once.
#include "appliance/site/genesis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/site/outlook.h"
#include "tests/base/expect_error.h"
#include "tests/site/logged_home.h"

namespace qpcseal::site {
namespace {

using qpcseal::testing::LoggedHome;
using qpcseal::testing::OfficerKey;
using ::testing::SizeIs;

class GenesisSigned : public ::testing::Test {
 protected:
  void sign(const OfficerKey& officer, const std::string& text,
            const std::string& sig_namespace = "approval@qpcseal") {
    const std::filesystem::path file = site.folder / (std::to_string(given.signatures.size()) + ".sig");
    testing::write_text(file, officer.sign(text, sig_namespace));
    given.signatures.push_back(file);
  }
  [[nodiscard]] std::string text() const {
    const audit::LogCopy log = site.copy();
    return genesis_text(log.state, log.tree.leaf(0));
  }
  SignedGenesis check() {
    std::optional<SignedGenesis> out;
    look_ahead(site.home, audit::find_position(site.home.log()), given, {}, site.host.clock.time, false,
               [&](const Outlook& outlook) { out = check_genesis(outlook); });
    return out.value();
  }
  LoggedHome site;
  approval::ApprovalFiles given;
};

TEST_F(GenesisSigned, ByAllIsRecordedWithTheirNames) {
  sign(site.bela, text());
  sign(OfficerKey("carl"), text());
  sign(site.anna, text());
  const SignedGenesis found = check();
  EXPECT_EQ(found.text, text());
  EXPECT_THAT(found.approvers, SizeIs(2));
  EXPECT_THAT(found.signatures, SizeIs(2)) << "those of others are not kept";
}

TEST_F(GenesisSigned, BySomeNamesTheOthers) {
  EXPECT_ERROR(ApprovalsMissing, "every listed officer signs the genesis; not signed by anna, bela", check());
  sign(site.anna, text());
  EXPECT_ERROR(ApprovalsMissing, "not signed by bela", check());
  sign(site.bela, text() + "\n");
  sign(site.bela, text(), "policy@qpcseal");
  EXPECT_ERROR(ApprovalsMissing, "not signed by bela", check()) << "another text, and as something else";
}

TEST_F(GenesisSigned, IsAcceptedOnce) {
  sign(site.anna, text());
  sign(site.bela, text());
  site.accept_genesis();
  EXPECT_ERROR(Usage, "the genesis was accepted before", check());
}

}  // namespace
}  // namespace qpcseal::site
