// SPDX-License-Identifier: Apache-2.0
// A whole appliance with a SoftHSM token: made, opened with either PIN, witnessed, backed up and restored.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "appliance/site/doctor.h"
#include "appliance/site/home_backup.h"
#include "appliance/site/log_key.h"
#include "appliance/site/pin.h"
#include "appliance/site/pin_change.h"
#include "appliance/site/unfinished_init.h"
#include "appliance/site/witnesses.h"
#include "tests/base/expect_error.h"
#include "tests/site/logged_home.h"
#include "tests/support/appliance_fixture.h"

namespace qpcseal::site {
namespace {

namespace fs = std::filesystem;
using qpcseal::testing::DemoAppliance;
using qpcseal::testing::read_text;
using qpcseal::testing::write_text;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

SecretBuffer pin_of(const std::string& text) {
  SecretBuffer out(text.size());
  std::ranges::copy(text, out.bytes().begin());
  return out;
}

// One appliance for all tests, which takes a moment to make.
class DemoSite : public ::testing::Test {
 protected:
  static DemoAppliance& demo() {
    static DemoAppliance one;
    return one;
  }
  testing::TempFolder folder;
  // The same world with another home.
  [[nodiscard]] Environment elsewhere() const {
    Environment out = demo().environment();
    out.home.root = folder / "home";
    return out;
  }
};

TEST_F(DemoSite, IsAsItsGenesisSays) {
  const audit::LogCopy log =
      audit::read_log(demo().home.log(), tlog::VerifierKey::parse(demo().made.log_key));
  const encoding::Json& genesis = log.state.genesis;
  EXPECT_EQ(demo().made.genesis, to_hex(log.tree.leaf(0)));
  EXPECT_EQ(genesis.at("seal_key"), to_base64(demo().made.seal_key));
  EXPECT_EQ(genesis.at("appliance_id"), "plant-1");
  EXPECT_EQ(genesis.at("insecure_demo"), true);
  EXPECT_EQ(genesis.at("officers"), nullptr);
  EXPECT_EQ(genesis.at("token").at("serial"), demo().made.token.serial);
  EXPECT_TRUE(demo().made.anchor);
  EXPECT_EQ(log.state.policy_digest, sha256_hex(read_text(demo().folder / "policy.toml")));
  EXPECT_EQ(fs::status(demo().home.root / "pin").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(DemoSite, IsNotMadeOfOptionsThatDoNotFit) {
  const auto refused = [&](const std::string& why, const std::function<void(InitOptions&)>& change) {
    InitOptions options = demo().init_options();
    change(options);
    EXPECT_ERROR(Usage, why, init(elsewhere(), options));
    EXPECT_FALSE(fs::exists(folder / "home")) << "nothing is left behind: " << why;
  };
  refused("--policy is missing", [](InitOptions& it) { it.policy.clear(); });
  refused("--trust is missing", [](InitOptions& it) { it.trust.clear(); });
  refused("--officers is missing", [](InitOptions& it) { it.insecure_demo = false; });
  refused("--module is missing", [](InitOptions& it) { it.embedded = false; });
  refused("--token is missing", [](InitOptions& it) { it.embedded = false, it.module = "/m.so"; });
  refused("--appliance-id is missing", [](InitOptions& it) { it.appliance_id.clear(); });
  for (const std::string& name : {std::string("a+b"), std::string("a b"), std::string(129, 'a')})
    refused("--appliance-id: letters", [&](InitOptions& it) { it.appliance_id = name; });
  refused("'any' is what a policy says", [](InitOptions& it) { it.appliance_id = "any"; });
  refused("--pin-source: an absolute path", [](InitOptions& it) { it.pin_source = "file:pin"; });
  refused("--embedded: that token has no PIN pad", [](InitOptions& it) { it.pin_source = "pinpad"; });
  refused("--serial and --slot choose a token that is there", [](InitOptions& it) { it.token.serial = "1"; });
  refused("--serial and --slot choose a token that is there", [](InitOptions& it) { it.token.slot = 0; });
  refused("--clock-days: 1 to 90, not 0", [](InitOptions& it) { it.clock_days = 0; });
  refused("--accept color", [](InitOptions& it) { it.accept = {"color"}; });
}

TEST_F(DemoSite, IsNotMadeWhereSomethingIs) {
  EXPECT_ERROR(Io, "already exists and holds an appliance",
               init(demo().environment(), demo().init_options()));
  fs::create_directory(folder / "home");
  write_text(folder / "home/mine", "x");
  EXPECT_ERROR(Io, "already exists and is not empty", init(elsewhere(), demo().init_options()));
  write_unfinished_init(elsewhere().home, {});
  EXPECT_ERROR(Io, "an init was cut short in", init(elsewhere(), demo().init_options()));
  EXPECT_EQ(read_text(folder / "home/mine"), "x");
}

// Under another image than the facts name nothing is done but what stops a key, and repairs.
TEST_F(DemoSite, ActsUnderTheImageOfItsFactsAlone) {
  const RunningImage first{std::string(64, '1'), ""}, second{std::string(64, '2'), ""};
  Environment at = elsewhere();
  at.image = first;
  EXPECT_EQ(init(at, demo().init_options()).image, first.root_hash);
  EXPECT_EQ(Appliance(at).facts().image, first.root_hash);
  for (const RunningImage& other :
       {second, RunningImage{}, RunningImage{"", "a claim that does not count"}}) {
    at.image = other;
    EXPECT_ERROR(Denied, "the site's facts name image " + first.root_hash, Appliance(at));
  }
  at.urgent = true;
  EXPECT_EQ(Appliance(at).image().root_hash, "");
  at.urgent = false;
  const auto size = [&] { return audit::read_log(at.home.log(), std::nullopt).state.size; };
  EXPECT_EQ(size(), 1U) << "nothing was written";

  Repair days;
  days.site.emplace().clock_days = 9;
  days.yes = true;
  at.image = second;
  EXPECT_EQ(Appliance(at, days).facts().clock_days, 9U) << "a repair of something else";
  EXPECT_ERROR(Denied, "the site's facts name image", Appliance(at));
  Repair image;
  image.site.emplace().image = second.root_hash;
  EXPECT_ERROR(Usage, "'site-change' needs officers", Appliance(at, image));
  image.yes = true;
  EXPECT_EQ(Appliance(at, image).facts().image, second.root_hash);
  EXPECT_EQ(Appliance(at).image().root_hash, second.root_hash);
  at.image = first;
  EXPECT_ERROR(Denied, "the site's facts name image " + second.root_hash, Appliance(at));
  image.site->image = "none";
  EXPECT_EQ(Appliance(at, image).facts().image, "");
  at.image = {};
  EXPECT_EQ(Appliance(at).image().root_hash, "") << "nothing is demanded";
}

TEST_F(DemoSite, SaysWhyNoImageIsInItsFacts) {
  Environment at = elsewhere();
  at.image.why_not = "roothash= is no word";
  std::string warned;
  at.on_warning = [&](const std::string& warning) { warned += warning; };
  EXPECT_EQ(init(at, demo().init_options()).image, "");
  EXPECT_EQ(warned, "no image goes into the site's facts: roothash= is no word");
}

TEST_F(DemoSite, NeedsTrustMaterialThatABackupCanHold) {
  fs::create_directory(folder / "trust");
  write_file(folder / "trust/.root.der", demo().card.root.der(), Existing::Refuse);
  InitOptions options = demo().init_options();
  options.trust = folder / "trust";
  EXPECT_ERROR(Usage, "a backup of the home could not hold a file of this name", init(elsewhere(), options));
  EXPECT_FALSE(fs::exists(folder / "home"));
}

TEST_F(DemoSite, ChangesThePinOfTokenAndFile) {
  Appliance& appliance = demo().open();
  const fs::path file = pin_file_path(appliance.site().pin_source).value();
  const SecretBuffer old = read_pin(appliance.site().pin_source, std::nullopt, "");
  EXPECT_ERROR(Usage, "a PIN has at least 4 characters", change_pin(appliance, old, pin_of("123")));
  EXPECT_ERROR(Usage, "the new PIN is the old one",
               change_pin(appliance, old, pin_of(std::string(text_view(old.bytes())))));
  EXPECT_FALSE(fs::exists(next_pin_file(file)));
  change_pin(appliance, old, pin_of("next-pin"));
  EXPECT_EQ(read_text(file), "next-pin");
  EXPECT_FALSE(fs::exists(next_pin_file(file)));
  EXPECT_THAT(demo().last_entries(2), ElementsAre("pin-change", "pin-change ok"));
  demo().close();
  EXPECT_NO_THROW(demo().open()) << "the token has it too";
}

TEST_F(DemoSite, LogsInWithWhicheverPinTheTokenHas) {
  demo().close();
  const Site site = Site::read(demo().home.site());
  prepare_module(demo().home, site);
  const pkcs11::Module module(site.module, pkcs11::Module::digest_of(site.module), "");
  const pkcs11::TokenInfo token = pkcs11::find_token(module, {site.token_label, {}, {}});
  const fs::path file = folder / "pin", next = next_pin_file(file);
  const SecretBuffer good = read_pin(site.pin_source, std::nullopt, "");
  const auto login = [&](const SecretBuffer& pin) {
    pkcs11::Session session(module, token, pkcs11::Access::ReadWrite);
    return login_user(module, session, pin, file);
  };
  const auto put_next = [&](ByteView pin) { write_file(next, pin, Existing::Replace, 0600); };
  EXPECT_EQ(login(good), PinTaken::Given);
  EXPECT_ERROR(Token, "CKR_PIN_INCORRECT", login(pin_of("wrong")));
  put_next(view("wrong"));
  EXPECT_EQ(login(good), PinTaken::GivenNotNext);
  EXPECT_ERROR(Token,
               "the token refuses the PIN in " + file.string() + ", and the one in " + next.string() + " too",
               login(pin_of("wrong")));
  put_next(good.bytes());
  EXPECT_EQ(login(pin_of("wrong")), PinTaken::Next);
}

TEST_F(DemoSite, HasOneLogKeyAfterARotation) {
  Appliance& appliance = demo().open();
  const std::string before = find_log_key(appliance.session(), demo().home.log());
  const std::string vkey = appliance.rotate_log_key();
  EXPECT_EQ(appliance.log().key().text(), vkey);
  const std::string after = find_log_key(appliance.session(), demo().home.log());
  EXPECT_NE(after, before);
  retire_log_keys(appliance.session(), after);
  EXPECT_THAT(keys::log_key_labels(appliance.session()), ElementsAre(after));
}

TEST_F(DemoSite, BelievesTheWitnessesThatItNames) {
  Appliance& appliance = demo().open();
  testing::TestWitness witness("witness.test/demo");
  const fs::path file = demo().home.witness() / (witness.id() + ".note");
  const std::string first = witness.cosign(appliance.log().checkpoint(), 1800000000);
  EXPECT_ERROR(Denied, "no witness that this site trusts has signed it", import_witness(appliance, first));
  EXPECT_ERROR(Usage, "this witness is not trusted", trust_witness(appliance, witness.vkey(), false));
  trust_witness(appliance, witness.vkey(), true);
  EXPECT_ERROR(Usage, "this witness is trusted already", trust_witness(appliance, witness.vkey(), true));
  const std::uint64_t size = appliance.log().state().size;
  const std::string second = witness.cosign(appliance.log().checkpoint(), 1800000007);
  const Witnessing seen = import_witness(appliance, second);
  EXPECT_EQ(seen.witness, witness.vkey());
  EXPECT_EQ(seen.size, size);
  EXPECT_EQ(seen.time, 1800000007);
  EXPECT_EQ(seen.entry, size);
  EXPECT_EQ(read_text(file), second);
  EXPECT_ERROR(Usage, "a later checkpoint of witness.test/demo is known already",
               import_witness(appliance, first));
  trust_witness(appliance, witness.vkey(), false);
  EXPECT_FALSE(fs::exists(file));
}

TEST_F(DemoSite, IsBackedUpAndRestored) {
  demo().close();
  const fs::path file = folder / "backup";
  const std::string junk = "reports/" + std::string(64, 'a') + ".report";
  write_text(demo().home.root / junk, "x");
  const Backup made = back_up(demo().environment(), file, Existing::Refuse);
  EXPECT_THAT(made.left_out, ElementsAre(junk));
  fs::remove(demo().home.root / junk);
  EXPECT_ERROR(Io, "backup", back_up(demo().environment(), file, Existing::Refuse));
  const auto checked = check_backup(file, std::nullopt);
  EXPECT_EQ(checked.log.checkpoint.size, made.manifest.log_size);
  const testing::HostSigner other(tlog::KeyType::Ed25519);
  EXPECT_ERROR(Denied, "another key", check_backup(file, other.verifier("plant-1")));
  const Environment there = elsewhere();
  RestoreOptions options{file, std::nullopt, false, {}};
  const Restored restored = restore(there, options);
  EXPECT_TRUE(restored.new_site);
  EXPECT_TRUE(restored.site.embedded);
  EXPECT_EQ(restored.aside, "");
  EXPECT_EQ(restored.module_sha256, restored.pinned_sha256);
  EXPECT_EQ(read_text(there.home.policy()), read_text(demo().home.policy()));
  EXPECT_FALSE(fs::exists(there.home.tokens())) << "keys are in no backup";
  EXPECT_ERROR(Io, "holds an appliance already", restore(there, options));
  options.replace = true;
  EXPECT_TRUE(fs::exists(restore(there, options).aside / "policy.toml"));
  options.machine.token_label = "other";
  EXPECT_ERROR(Usage, "are for a home without a site.toml", restore(there, options));
}

TEST_F(DemoSite, MayRefuseABackupThatWasCut) {
  demo().close();
  const fs::path file = folder / "backup";
  back_up(demo().environment(), file, Existing::Refuse);
  fs::resize_file(file, fs::file_size(file) - 512);
  EXPECT_ERROR(Malformed, "archive", check_backup(file, std::nullopt));
  EXPECT_ERROR(Malformed, "archive", restore(elsewhere(), {file, std::nullopt, false, {}}));
  EXPECT_FALSE(fs::exists(folder / "home/log")) << "nothing was written";
}

TEST_F(DemoSite, HasATokenThatCanServe) {
  demo().close();
  const Diagnosis found = diagnose(demo().environment(), {Site::read(demo().home.site()), {}, {}});
  EXPECT_THAT(found.faults, IsEmpty());
  EXPECT_THAT(found.leftovers, IsEmpty());
  EXPECT_EQ(found.token.serial, demo().made.token.serial);
  EXPECT_TRUE(found.gcm);
  EXPECT_EQ(found.signing, keys::SigningType::Ed25519);
  EXPECT_FALSE(found.suites.empty());
  EXPECT_TRUE(found.anchor);
  EXPECT_EQ(found.module_sha256, audit::read_log(demo().home.log(), std::nullopt).state.site.module_sha256);
}

}  // namespace
}  // namespace qpcseal::site
