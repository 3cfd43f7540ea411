// SPDX-License-Identifier: Apache-2.0
// What a writer writes its reader reads, whatever a token, a host or a person put into its texts.
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <array>
#include <memory>

#include "appliance/approval/approval_request.h"
#include "appliance/keys/backup_file.h"
#include "appliance/keys/spki.h"
#include "appliance/models/wrapped_meks.h"
#include "appliance/site/genesis.h"
#include "appliance/site/home.h"
#include "appliance/site/unfinished_init.h"
#include "base/text.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::release {
namespace {

using qpcseal::testing::TempFolder;

// P-256's generator.
const Bytes kPoint = from_hex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5");

// A key of the host's, for seals.
class HostSigner {
 public:
  HostSigner() : key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free) {
    Bytes raw(32);
    std::size_t size = raw.size();
    EVP_PKEY_get_raw_public_key(key_.get(), raw.data(), &size);
    spki_ = keys::ed25519_spki(raw);
  }
  [[nodiscard]] const Bytes& spki() const { return spki_; }
  [[nodiscard]] Bytes sign(ByteView message) const {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    Bytes out(64);
    std::size_t size = out.size();
    if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
        EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()) != 1)
      throw std::runtime_error("EVP_DigestSign");
    return out;
  }

 private:
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  Bytes spki_;
};

class Texts : public ::testing::TestWithParam<std::string> {
 protected:
  // As it comes from a token: pkcs11::Module makes UTF-8 of it.
  [[nodiscard]] static std::string text() { return valid_utf8(GetParam()); }
};

TEST_P(Texts, OfATokenInARecoveryKeysFile) {
  keys::RecoveryKeyFile file;
  file.point = kPoint;
  file.suites = {keys::Suite::EcdhX963};
  file.token_serial = file.token_model = text();
  file.aud = Bytes(16, 1);
  file.appliance_id = "transferee";
  const keys::RecoveryKeyFile read = keys::parse_recovery_key(keys::encode(file));
  EXPECT_EQ(read.token_serial, text());
  EXPECT_EQ(read.token_model, text());
}

TEST_P(Texts, OfATokenInABackup) {
  const HostSigner signer;
  keys::MekBackup backup;
  keys::BackupHeader& header = backup.header;
  header.aud = Bytes(16, 1);
  header.appliance_id = "source";
  header.token_serial = text();
  header.mek_id = Bytes(16, 2);
  header.name = "net";
  header.generation = 1;
  header.check_value = Bytes(keys::kCheckValueSize, 3);
  header.seal_key = signer.spki();
  header.log_key = tlog::VerifierKey("source", tlog::KeyType::Ed25519, Bytes(32, 4)).text();
  header.checkpoint = "a checkpoint";
  header.recovery_point = kPoint;
  header.recovery_key = Bytes(32, 5);
  header.nonce = Bytes(32, 6);
  backup.header_bytes = keys::encode_header(header);
  backup.wrapped = {header.suite, Bytes(46, 7), header.nonce, kPoint};
  backup.signature = signer.sign(keys::signed_text(backup.header_bytes, backup.wrapped));
  EXPECT_EQ(keys::parse_backup(keys::encode(backup)).header.token_serial, text());
}

TEST_P(Texts, OfATokenAndAPersonInARequest) {
  approval::ApprovalRequest request;
  request.operation = "mek-generate";
  request.parameters = {{"name", text()}};
  request.appliance_id = request.token_serial = text();
  request.aud = std::string(32, '1');
  request.policy_digest = request.officers_digest = request.log_root = request.nonce = std::string(64, '2');
  request.not_after = 1;
  request.threshold = 1;
  const approval::ApprovalRequest read =
      approval::parse_approval_request(approval::encode_approval_request(request));
  EXPECT_EQ(read.parameters, request.parameters);
  EXPECT_EQ(read.token_serial, text());
  EXPECT_EQ(read.appliance_id, text());
}

site::Site site_with(const std::string& text) {
  site::Site out;
  out.module = "/usr/lib/" + text;
  out.token_label = out.token_serial = text;
  out.pin_source = "file:/etc/" + text;
  out.module_files = {"/var/" + text, "/opt/x"};
  return out;
}

void expect_same(const site::Site& read, const site::Site& written) {
  EXPECT_EQ(read.module, written.module);
  EXPECT_EQ(read.token_label, written.token_label);
  EXPECT_EQ(read.token_serial, written.token_serial);
  EXPECT_EQ(read.pin_source, written.pin_source);
  EXPECT_EQ(read.module_files, written.module_files);
  EXPECT_EQ(read.embedded, written.embedded);
}

TEST_P(Texts, OfATokenAndAPersonInSiteToml) {
  const TempFolder dir;
  const site::Home home{dir.path()};
  const site::Site site = site_with(text());
  write_file(home.site(), view(site.text(home)), Existing::Refuse, 0600);
  expect_same(site::Site::read(home.site()), site);
}

TEST_P(Texts, OfATokenAndAPersonInAnUnfinishedInit) {
  const TempFolder dir;
  const site::Home home{dir.path()};
  const site::UnfinishedInit init{true, site_with(text()), "", text(), Bytes(site::kInitKeyId, 9)};
  site::write_unfinished_init(home, init);
  const auto read = site::read_unfinished_init(home);
  ASSERT_TRUE(read && read->site);
  expect_same(*read->site, *init.site);
  EXPECT_EQ(read->module_arguments, text());
  EXPECT_EQ(read->key_id, init.key_id);
  EXPECT_TRUE(read->made_home);
}

TEST_P(Texts, OfAHostInConfigJson) {
  const TempFolder dir;
  keys::Mek mek;
  mek.label = "m#1";
  mek.id = Bytes(16, 7);
  Bytes encrypt = copy(view("QMEK\1\1"));
  append(encrypt, mek.id);
  append(encrypt, Bytes(24, 1));
  const models::WrappedFor card{models::kHere,     text(), 0, Bytes(17, 1),
                                "ecdh-x963-aeskw", {},     1, {encrypt, Bytes(32, 1), Bytes(65, 1)}};
  OutputSet outputs(Existing::Refuse);
  models::write_wrapped(outputs, dir / "out", mek, {card});
  outputs.commit();
  EXPECT_EQ(models::read_wrapped({dir / "out"}).cards.at(0).host, text());
}

TEST_P(Texts, OfATokenAndAPersonInAGenesis) {
  audit::State state;
  audit::SiteFacts facts;
  facts.module_sha256 = std::string(64, '1');
  facts.module_arguments = text();
  state.genesis = {{"appliance_id", text()},
                   {"aud", std::string(32, '1')},
                   {"token", {{"serial", text()}}},
                   {"log_key", "x"},
                   {"seal_key", ""},
                   {"site", audit::as_json(facts)},
                   {"policy", {{"serial", 1}, {"digest", std::string(64, '2')}}},
                   {"officers", std::string(64, '3')},
                   {"trust", std::string(64, '4')}};
  site::check_genesis_text(site::genesis_text(state, {}));
  EXPECT_EQ(audit::genesis_facts(state.genesis), facts);
  EXPECT_NE(site::genesis_text(state, {}).find("\nimage: none\n"), std::string::npos);
  facts.image = std::string(64, '5');
  state.genesis["site"] = audit::as_json(facts);
  site::check_genesis_text(site::genesis_text(state, {}));
  EXPECT_NE(site::genesis_text(state, {}).find("\nimage: " + facts.image + "\n"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Blank, Texts, ::testing::Values("", " ", "\n", std::string(1, '\0')));
INSTANTIATE_TEST_SUITE_P(Long, Texts,
                         ::testing::Values(std::string(16, 'x'), std::string(32, '9'), std::string(96, 'y')));
INSTANTIATE_TEST_SUITE_P(Letters, Texts,
                         ::testing::Values("Schl\xc3\xbcssel", "\xe5\xaf\x86\xe9\x92\xa5", "\xe2\x80\xaegnp",
                                           "\xf0\x9f\x94\x91"));
INSTANTIATE_TEST_SUITE_P(Controls, Texts,
                         ::testing::Values("\x01\x1b[2J", "a\tb\r\nc", "\x7f\xc2\x9b", "\xff\xfe", "\xc3",
                                           "\xed\xa0\x80"));
INSTANTIATE_TEST_SUITE_P(Marks, Texts,
                         ::testing::Values("\"", "\\", "'", "{home}", "# x", "a = b", "]", "=",
                                           "file:", "\\u0000", "%s"));

}  // namespace
}  // namespace qpcseal::release
