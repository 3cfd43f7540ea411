// SPDX-License-Identifier: Apache-2.0
// What verdicts rested on, kept by digest, and found again.
#include "appliance/site/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/attest/test_card.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"
#include "tests/support/officer_key.h"

namespace qpcseal::site {
namespace {

namespace fs = std::filesystem;
using encoding::Json;
using qpcseal::testing::OfficerKey;
using qpcseal::testing::read_text;
using qpcseal::testing::TempFolder;
using qpcseal::testing::write_text;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr UnixTime kSigned = testing::kTestNow;

const trust::Trust& one_root() {
  static const trust::Trust trust = [] {
    const testing::TestCard card;
    return trust::trust_of_files(
        {{"root.der", card.root.der()}, {"list.crl", testing::make_crl(card.root, testing::CrlSpec{})}});
  }();
  return trust;
}

class Archive : public ::testing::Test {
 protected:
  TempFolder folder;
  Home home{folder.path()};
  [[nodiscard]] fs::path kept(const std::string& text, const std::string& extension) const {
    return home.approvals() / (sha256_hex(text) + extension);
  }
};

TEST_F(Archive, KeepsATextByItsDigestAndKind) {
  archive_put(home, "a policy", ".signed");
  EXPECT_EQ(archive_get(home, sha256_hex("a policy"), ".signed"), "a policy");
  EXPECT_ERROR(Io, sha256_hex("a policy") + ".plan was not kept",
               archive_get(home, sha256_hex("a policy"), ".plan"));
  EXPECT_ERROR(Io, "was not kept", archive_get(home, sha256_hex("another"), ".signed"));
  EXPECT_EQ(fs::status(kept("a policy", ".signed")).permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(fs::status(home.approvals()).permissions(), fs::perms::owner_all);
}

TEST_F(Archive, MendsADamagedFileWhenTheTextComesAgain) {
  archive_put(home, "text", ".plan");
  write_text(kept("text", ".plan"), "damaged");
  EXPECT_EQ(archive_get(home, sha256_hex("text"), ".plan"), "damaged") << "the caller checks the digest";
  archive_put(home, "text", ".plan");
  EXPECT_EQ(archive_get(home, sha256_hex("text"), ".plan"), "text");
}

TEST_F(Archive, TakesNothingButADigestForAName) {
  for (const std::string& bad : {std::string(), std::string("../policy"), std::string(63, 'a'),
                                 std::string(65, 'a'), std::string(64, 'A'), std::string(64, '/')})
    EXPECT_ERROR(Internal, "no digest: " + bad, archive_get(home, bad, ".plan"));
}

TEST_F(Archive, KeepsAnApprovalWithItsSignatures) {
  archive_approval(home, "request", ".request", {"one", "two"});
  EXPECT_EQ(archive_get(home, sha256_hex("request"), ".request"), "request");
  EXPECT_EQ(archive_get(home, sha256_hex("one"), ".sig"), "one");
  const Json approvers = {{{"name", "bela"}, {"signature_sha256", sha256_hex("two")}},
                          {{"name", "anna"}, {"signature_sha256", sha256_hex("one")}}};
  EXPECT_THAT(kept_signatures(home, approvers), ElementsAre("two", "one")) << "in the order of the approvers";
  EXPECT_THAT(kept_signatures(home, Json::array()), IsEmpty());
}

TEST_F(Archive, NamesTheOfficerWhoseSignatureIsGone) {
  archive_approval(home, "request", ".request", {"one"});
  EXPECT_ERROR(Io, "the signature of bela was not kept",
               kept_signatures(home, {{{"name", "anna"}, {"signature_sha256", sha256_hex("one")}},
                                      {{"name", "bela"}, {"signature_sha256", sha256_hex("two")}}}));
  EXPECT_ERROR(Malformed, "signature_sha256", kept_signatures(home, {{{"name", "anna"}}}));
  EXPECT_ERROR(Malformed, "signature_sha256",
               kept_signatures(home, {{{"name", "anna"}, {"signature_sha256", "../x"}}}));
}

TEST_F(Archive, FindsOneSignatureOfEachOfficer) {
  const OfficerKey anna("anna"), bela("bela"), carl("carl");
  const approval::Officers officers = approval::parse_officers(bela.line() + anna.line());
  const std::string by_anna = anna.sign("text", "policy@qpcseal"),
                    by_bela = bela.sign("text", "policy@qpcseal");
  archive_approval(
      home, "text", ".signed",
      {by_bela, by_anna, carl.sign("text", "policy@qpcseal"), anna.sign("other", "policy@qpcseal"),
       bela.sign("text", "approval@qpcseal"), "no signature"});
  const auto found = [&](const char* text) {
    return found_signatures(home, officers, "policy@qpcseal", text, kSigned);
  };
  EXPECT_THAT(found("text"), ElementsAre(by_anna, by_bela)) << "in order of names";
  EXPECT_EQ(found("other").size(), 1U);
  EXPECT_THAT(found("unsigned"), IsEmpty());
}

TEST_F(Archive, FindsNoSignatureByAKeyThatWasNotValidThen) {
  const OfficerKey anna("anna");
  std::string line = anna.line("policy@qpcseal");
  line.insert(line.find(" ssh-"), ",valid-before=\"20270115000000Z\"");
  archive_put(home, anna.sign("text", "policy@qpcseal"), ".sig");
  const approval::Officers officers = approval::parse_officers(line);
  const UnixTime end = officers.list.at(0).valid_before.value();
  EXPECT_EQ(found_signatures(home, officers, "policy@qpcseal", "text", end - 1).size(), 1U);
  EXPECT_THAT(found_signatures(home, officers, "policy@qpcseal", "text", end), IsEmpty());
}

TEST(TrustText, IsReadAsItWasWritten) {
  const trust::Trust back = parse_trust(encode_trust(one_root()));
  EXPECT_EQ(back.digest, one_root().digest);
  ASSERT_EQ(back.roots.size(), 1U);
  EXPECT_EQ(back.roots[0].name, "root.der");
  EXPECT_EQ(back.roots[0].der, one_root().roots[0].der);
  ASSERT_EQ(back.crls.size(), 1U);
  EXPECT_EQ(back.crls[0].name, "list.crl");
}

TEST(TrustText, HasOneFormAlone) {
  const std::string good = encode_trust(one_root());
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  EXPECT_ERROR(Malformed, "not in its one written form", parse_trust(good.substr(0, good.size() - 1)));
  EXPECT_ERROR(Malformed, "trust material", parse_trust(good + "\n"));
  EXPECT_ERROR(Malformed, "canonical form", parse_trust(with("\"v\":", "\"v\": ")));
  EXPECT_ERROR(Malformed, "not in its one written form", parse_trust(with("\"v\":1", "\"v\":2")));
  EXPECT_ERROR(Malformed, "unknown member", parse_trust(with("\"v\":1", "\"v\":1,\"w\":1")));
  EXPECT_ERROR(Malformed, "no member 'v'", parse_trust(with(",\"v\":1", "")));
  EXPECT_ERROR(Malformed, "unknown member", parse_trust(with("\"name\":", "\"more\":1,\"name\":")));
  EXPECT_ERROR(Malformed, "not a list",
               parse_trust("{\"crls\":7,\"roots\":[],\"type\":\"qpcseal-trust\",\"v\":1}\n"));
  EXPECT_ERROR(Malformed, "no member 'type'", parse_trust("{}\n"));
  EXPECT_ERROR(Malformed, "trust material", parse_trust(""));
}

TEST(TrustText, OfAnotherFileHasAnotherDigest) {
  trust::Trust other = one_root();
  other.roots[0].name = "other.der";
  EXPECT_NE(parse_trust(encode_trust(other)).digest, one_root().digest);
}

TEST_F(Archive, GivesTrustMaterialOfEitherKind) {
  const std::string digest = to_hex(one_root().digest);
  EXPECT_ERROR(Io, "was not kept", kept_trust(home, digest));
  archive_put(home, "a bundle", ".signed");
  EXPECT_EQ(kept_trust(home, sha256_hex("a bundle")), "a bundle");
  write_text(home.approvals() / (digest + ".trust"), "a folder");
  EXPECT_EQ(kept_trust(home, digest), "a folder");
}

// A home with a policy, officers and trust, and the state that pins them.
class PinnedHome : public Archive {
 protected:
  audit::State state;
  PinnedHome() {
    write_text(home.policy(), "policy");
    write_text(home.officers(), "officers");
    fs::create_directory(home.trust());
    for (const auto& files : {one_root().roots, one_root().crls})
      for (const trust::TrustFile& file : files)
        write_text(home.trust() / file.name, std::string(text_view(file.der)));
    state.policy_digest = sha256_hex("policy");
    state.officers_digest = sha256_hex("officers");
    state.trust_digest = to_hex(one_root().digest);
    state.genesis = {{"trust", state.trust_digest}};
  }
  void lose_all() const {
    fs::remove(home.policy());
    fs::remove(home.officers());
    fs::remove(home.collateral());
    fs::remove_all(home.trust());
  }
  std::vector<std::string> put_back() { return put_back_lost(home, state); }
};

TEST_F(PinnedHome, KeepsWhatIsInForce) {
  keep_in_force(home, state, one_root());
  EXPECT_EQ(archive_get(home, state.policy_digest, ".signed"), "policy");
  EXPECT_EQ(archive_get(home, state.officers_digest, ".officers"), "officers");
  EXPECT_EQ(archive_get(home, state.trust_digest, ".trust"), encode_trust(one_root()));
  fs::remove(home.policy());
  EXPECT_NO_THROW(keep_in_force(home, state, one_root())) << "what is kept is not read again";
}

TEST_F(PinnedHome, KeepsNoOfficersWhereThereAreNone) {
  state.officers_digest.clear();
  keep_in_force(home, state, one_root());
  EXPECT_FALSE(fs::exists(kept("officers", ".officers")));
}

TEST_F(PinnedHome, KeepsTheBundleInPlaceOfTheFolder) {
  write_text(home.collateral(), "bundle");
  state.collateral_serial = 1;
  state.trust_digest = sha256_hex("bundle");
  keep_in_force(home, state, one_root());
  EXPECT_EQ(archive_get(home, state.trust_digest, ".signed"), "bundle");
  EXPECT_FALSE(fs::exists(home.approvals() / (to_hex(one_root().digest) + ".trust")));
}

TEST_F(PinnedHome, PutsBackWhatWasLost) {
  keep_in_force(home, state, one_root());
  lose_all();
  EXPECT_THAT(put_back(), UnorderedElementsAre(home.policy().string(), home.officers().string(),
                                               (home.trust() / "root.der").string(),
                                               (home.trust() / "list.crl").string()));
  EXPECT_EQ(read_text(home.policy()), "policy");
  EXPECT_EQ(read_text(home.officers()), "officers");
  EXPECT_EQ(trust::read_trust(home.trust()).digest, one_root().digest);
  EXPECT_THAT(put_back(), IsEmpty()) << "once";
}

TEST_F(PinnedHome, PutsBackTheBundleInForce) {
  write_text(home.collateral(), "bundle");
  state.collateral_serial = 1;
  state.trust_digest = sha256_hex("bundle");
  keep_in_force(home, state, one_root());
  fs::remove(home.collateral());
  EXPECT_THAT(put_back(), ElementsAre(home.collateral().string()));
  EXPECT_EQ(read_text(home.collateral()), "bundle");
}

TEST_F(PinnedHome, PutsBackTheOneFileOfTheFolderThatIsGone) {
  keep_in_force(home, state, one_root());
  write_text(home.trust() / "list.crl", "another");
  fs::remove(home.trust() / "root.der");
  EXPECT_THAT(put_back(), ElementsAre((home.trust() / "root.der").string()));
  EXPECT_EQ(read_text(home.trust() / "list.crl"), "another") << "what is there is refused, not replaced";
}

TEST_F(PinnedHome, LeavesWhatIsThereEvenALinkThatLeadsNowhere) {
  keep_in_force(home, state, one_root());
  write_text(home.officers(), "others");
  fs::remove(home.policy());
  fs::create_symlink(folder / "nowhere", home.policy());
  EXPECT_THAT(put_back(), IsEmpty());
  EXPECT_EQ(read_text(home.officers()), "others");
  EXPECT_FALSE(fs::exists(folder / "nowhere"));
}

TEST_F(PinnedHome, PutsBackNothingThatIsDamagedOrWasNotKept) {
  lose_all();
  EXPECT_THAT(put_back(), IsEmpty()) << "nothing was kept";
  archive_put(home, "policy", ".signed");
  write_text(kept("policy", ".signed"), "forged");
  trust::Trust other = one_root();
  other.crls.clear();
  write_text(home.approvals() / (state.trust_digest + ".trust"), encode_trust(other));
  EXPECT_THAT(put_back(), IsEmpty());
  EXPECT_FALSE(fs::exists(home.policy()));
  EXPECT_FALSE(fs::exists(home.trust() / "root.der"));
  write_text(home.approvals() / (state.trust_digest + ".trust"), "damaged");
  EXPECT_THAT(put_back(), IsEmpty()) << "a damaged copy stops nothing";
}

}  // namespace
}  // namespace qpcseal::site
