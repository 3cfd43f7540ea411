// SPDX-License-Identifier: Apache-2.0
// Policy and trust material are those of the log, or refused.
#include "appliance/site/in_force.h"

#include <gtest/gtest.h>

#include "appliance/site/genesis.h"
#include "appliance/site/init.h"
#include "appliance/site/restored_site.h"
#include "tests/base/expect_error.h"
#include "tests/site/logged_home.h"

namespace qpcseal::site {
namespace {

namespace fs = std::filesystem;
using qpcseal::testing::LoggedHome;
using qpcseal::testing::write_text;

class InForce : public ::testing::Test {
 protected:
  LoggedHome site;
  audit::State state = site.copy().state;
};

TEST_F(InForce, PolicyIsTheOneInTheLog) {
  EXPECT_EQ(read_policy(site.home, state).serial.value, 7U);
  write_text(site.home.policy(), site.policy_text + "\n");
  EXPECT_ERROR(Denied,
               site.home.policy().string() + " is not the policy in the log: found " +
                   sha256_hex(site.policy_text + "\n") + ", logged " + state.policy_digest,
               read_policy(site.home, state));
  fs::remove(site.home.policy());
  EXPECT_ERROR(Io, "policy.toml", read_policy(site.home, state));
}

TEST_F(InForce, PolicyIsParsedAfterItsDigestIsKnown) {
  write_text(site.home.policy(), "no policy");
  EXPECT_ERROR(Denied, "is not the policy in the log", read_policy(site.home, state));
  state.policy_digest = sha256_hex("no policy");
  EXPECT_ERROR(Malformed, "policy.toml:1", read_policy(site.home, state));
}

TEST_F(InForce, TrustFolderIsTheOneInTheLog) {
  state.crl_numbers[Bytes{1}] = Bytes{7};
  const trust::Trust trust = read_pinned_trust(site.home, state);
  EXPECT_EQ(to_hex(trust.digest), state.trust_digest);
  EXPECT_EQ(trust.crl_floors, state.crl_numbers) << "the floors are the log's";
  fs::copy_file(site.home.trust() / "root.der", site.home.trust() / "more.der");
  EXPECT_ERROR(Denied, "the trust folder is not the one in the log", read_pinned_trust(site.home, state));
  write_text(site.home.trust() / "more.der", "no certificate");
  EXPECT_ERROR(Malformed, "more.der: not a certificate", read_pinned_trust(site.home, state));
}

TEST_F(InForce, NoBundleCountsThatTheLogDoesNotName) {
  write_text(site.home.collateral(), "{}");
  EXPECT_ERROR(Denied, site.home.collateral().string() + " is there, and the log has no collateral bundle",
               read_pinned_trust(site.home, state));
  state.collateral_serial = 1;
  state.trust_digest = std::string(64, 'c');
  EXPECT_ERROR(Denied, "logged " + state.trust_digest, read_pinned_trust(site.home, state));
  fs::remove(site.home.collateral());
  EXPECT_ERROR(Io, "collateral.json", read_pinned_trust(site.home, state));
}

TEST(ExpectSame, NamesBoth) {
  EXPECT_NO_THROW(expect_same("the key", "a", "a"));
  EXPECT_ERROR(Denied, "the key is not the one in the log: found a, logged b",
               expect_same("the key", "a", "b"));
}

TEST_F(InForce, GenesisTextNamesWhatOfficersSign) {
  const tlog::Hash leaf = sha256(view("leaf"));
  const std::string text = genesis_text(state, leaf);
  for (const std::string& line :
       {std::string("appliance: \"plant-1\""), "aud: " + std::string(32, '5'),
        std::string("token serial: \"0123\""), "seal key sha256: " + sha256_hex("seal key"),
        "module sha256: " + std::string(64, 'e'), std::string("module arguments: \"\""),
        std::string("accepted: []"), std::string("anchor: true"), std::string("clock days: 7"),
        std::string("policy serial: 7"), "policy sha256: " + state.policy_digest,
        "officers sha256: " + state.officers_digest, "trust sha256: " + state.trust_digest,
        "genesis entry: " + to_hex(leaf)})
    EXPECT_NE(text.find("\n" + line + "\n"), std::string::npos) << line << " in\n" << text;
  EXPECT_TRUE(is_genesis_text(text));
  EXPECT_NO_THROW(check_genesis_text(text));
}

TEST_F(InForce, GenesisTextHasNoLineThatAValueBrings) {
  state.genesis["appliance_id"] = "plant\n\"officers sha256: \xc3\xa4";
  const std::string text = genesis_text(state, {});
  EXPECT_NE(text.find("appliance: \"plant\\n\\\"officers sha256: \\u00e4\"\n"), std::string::npos) << text;
  EXPECT_NO_THROW(check_genesis_text(text));
}

TEST_F(InForce, GenesisTextHasItsLinesAndNothingElse) {
  const std::string text = genesis_text(state, {});
  const auto refused = [](const std::string& bad) {
    return testing::throws_error(ErrorKind::Malformed, "not a genesis as 'qpcseal genesis show' writes it",
                                 [&] { check_genesis_text(bad); });
  };
  EXPECT_TRUE(refused(""));
  EXPECT_FALSE(is_genesis_text(""));
  EXPECT_FALSE(is_genesis_text("qpcseal genesis 1\n"));
  EXPECT_TRUE(refused(text + "\n"));
  EXPECT_TRUE(refused(text.substr(0, text.size() - 1)));
  EXPECT_TRUE(refused("\n" + text));
  for (std::size_t at = text.find('\n') + 1; at < text.size(); at = text.find('\n', at) + 1) {
    const std::size_t end = text.find('\n', at) + 1;
    EXPECT_TRUE(refused(text.substr(0, at) + text.substr(end))) << "without " << text.substr(at, end - at);
    EXPECT_TRUE(refused(text.substr(0, end) + text.substr(at))) << "twice " << text.substr(at, end - at);
    std::string odd = text;
    odd[end - 2] = '\x7f';
    EXPECT_TRUE(refused(odd));
    odd[end - 2] = '\t';
    EXPECT_TRUE(refused(odd));
  }
}

class RestoredSite : public ::testing::Test {
 protected:
  LoggedHome site;
  audit::State state = site.copy().state;
  MachineOptions options{"/usr/lib/module.so", "", "", "", {}, false};
  [[nodiscard]] Site made() const { return site_for(site.home, state, options); }
};

TEST_F(RestoredSite, IsMadeOfTheOptionsAndTheLog) {
  const Site plain = made();
  EXPECT_EQ(plain.module, "/usr/lib/module.so");
  EXPECT_EQ(plain.token_label, "the token");
  EXPECT_EQ(plain.token_serial, "0123");
  EXPECT_EQ(plain.pin_source, "tty");
  EXPECT_FALSE(plain.embedded);
  options.token_label = "another";
  options.pin_source = "file:/etc/pin";
  EXPECT_EQ(made().token_label, "another");
  EXPECT_EQ(made().pin_source, "file:/etc/pin");
}

TEST_F(RestoredSite, FindsThePinFileOfTheHome) {
  write_text(site.home.root / "pin", "1234\n");
  EXPECT_EQ(made().pin_source, "file:" + (site.home.root / "pin").string());
  options.pin_source = "tty";
  EXPECT_EQ(made().pin_source, "tty");
}

TEST_F(RestoredSite, NeedsAModuleForATokenThatIsNotEmbedded) {
  options.module = "";
  EXPECT_ERROR(Usage, "this machine has no site.toml: --module is missing", made());
  options.module = "module.so";
  EXPECT_ERROR(Usage, "--module must be an absolute path, not 'module.so'", made());
}

TEST_F(RestoredSite, IsTheEmbeddedTokensWhereTheLogAndTheMachineSaySo) {
  options.module = "";
  state.genesis["token"]["model"] = "SoftHSM v2";
  fs::create_directory(site.home.tokens());
  EXPECT_TRUE(made().embedded) << "by its folder, after an upgrade too";
  fs::remove(site.home.tokens());
  state.site.module_sha256 = module_sha256(Site{find_softhsm(), "", "", true, "", {}});
  EXPECT_TRUE(made().embedded) << "by the module that the log pins";
  EXPECT_TRUE(fs::path(made().module).is_absolute());
  options.module = "/usr/lib/module.so";
  EXPECT_FALSE(made().embedded) << "the option goes first";
}

TEST_F(RestoredSite, IsNotTheEmbeddedTokensWhereTheLogHasAnother) {
  options.module = "";
  fs::create_directory(site.home.tokens());
  EXPECT_ERROR(Usage, "--module is missing", made());
  options.embedded = true;
  EXPECT_ERROR(Usage, "--embedded: the log's token is 'the token'", made());
  fs::remove(site.home.tokens());
  state.genesis["token"]["model"] = "SoftHSM v2";
  EXPECT_TRUE(made().embedded) << "somebody says so";
  options.embedded = false;
  EXPECT_ERROR(Usage, "the log pins another module than", made());
}

TEST_F(RestoredSite, IsTheMachinesOwnWhereItHasOne) {
  const Site own{"/opt/own.so", "own", "9", false, "tty", {}};
  write_text(site.home.site(), own.text(site.home));
  for (const MachineOptions& given :
       {MachineOptions{"/m.so", "", "", "", {}, false}, MachineOptions{"", "label", "", "", {}, false},
        MachineOptions{"", "", "", "tty", {}, false}, MachineOptions{"", "", "", "", {}, true}})
    EXPECT_ERROR(
        Usage,
        "--module, --embedded, --token, --serial, --pin-source and --module-files are for a home without a "
        "site.toml",
        site_for(site.home, state, given));
  EXPECT_EQ(site_for(site.home, state, {}).module, "/opt/own.so");
  write_text(site.home.site(), "module = 7\n");
  EXPECT_ERROR(Malformed, "site.toml", site_for(site.home, state, {}));
}

TEST_F(RestoredSite, DigestsOfItsModuleAreComparedByTheCaller) {
  EXPECT_EQ(pinned_sha256(state), std::string(64, 'e'));
  Site with_module;
  with_module.module = site.folder / "module.so";
  EXPECT_EQ(module_sha256(with_module), "") << "not there";
  write_text(site.folder / "module.so", "code");
  EXPECT_EQ(module_sha256(with_module), sha256_hex("code"));
}

}  // namespace
}  // namespace qpcseal::site
