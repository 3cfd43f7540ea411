// SPDX-License-Identifier: Apache-2.0
// Files of recovery keys and backups: each member is of its size and kind, and the source's seal key signed
// all of it. No token is needed.
#include "appliance/keys/backup_file.h"

#include <gtest/gtest.h>

#include <functional>

#include "appliance/keys/spki.h"
#include "encoding/cbor.h"
#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"

namespace qpcseal::keys {
namespace {

// P-256's generator.
const Bytes kGenerator = from_hex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5");
constexpr const char* kKeyType = "qpcseal/recovery-key/1";
constexpr const char* kHeaderType = "qpcseal/backup-header/2";

std::string out_of_range(const char* type, int member) {
  return std::string(type) + ": member " + std::to_string(member) + " is out of range";
}

RecoveryKeyFile good_key() {
  return {kGenerator, {Suite::EcdhX963, Suite::EcdhEcbKdf}, "serial", "model", Bytes(16, 1), "site",
          1800000000};
}

using KeyChange = std::function<void(RecoveryKeyFile&)>;

::testing::AssertionResult key_is_refused(const std::string& why, const KeyChange& change) {
  RecoveryKeyFile file = good_key();
  change(file);
  return qpcseal::testing::throws_error(ErrorKind::Malformed, why, [&] { parse_recovery_key(encode(file)); });
}

TEST(RecoveryKeyFile, ComesBackAsItWasWritten) {
  const RecoveryKeyFile file = good_key(), read = parse_recovery_key(encode(file));
  EXPECT_EQ(read.point, file.point);
  EXPECT_EQ(read.suites, file.suites) << "in order of preference";
  EXPECT_EQ(read.token_serial, "serial");
  EXPECT_EQ(read.token_model, "model");
  EXPECT_EQ(read.aud, file.aud);
  EXPECT_EQ(read.appliance_id, "site");
  EXPECT_EQ(read.created, 1800000000);
}

TEST(RecoveryKeyFile, HasMembersOfTheirSizes) {
  const auto out = [](int member) { return out_of_range(kKeyType, member); };
  for (const std::size_t size : {0U, 64U, 66U})
    EXPECT_TRUE(key_is_refused(out(2), [&](RecoveryKeyFile& it) { it.point.resize(size); })) << size;
  for (const std::size_t size : {0U, 15U, 17U})
    EXPECT_TRUE(key_is_refused(out(6), [&](RecoveryKeyFile& it) { it.aud.resize(size); })) << size;
  RecoveryKeyFile longest = good_key();
  longest.appliance_id = longest.token_serial = longest.token_model = std::string(128, 'x');
  EXPECT_EQ(parse_recovery_key(encode(longest)).appliance_id.size(), 128U);
  const std::string longer(129, 'x');
  EXPECT_TRUE(key_is_refused(out(4), [&](RecoveryKeyFile& it) { it.token_serial = longer; }));
  EXPECT_TRUE(key_is_refused(out(5), [&](RecoveryKeyFile& it) { it.token_model = longer; }));
  EXPECT_TRUE(key_is_refused(out(7), [&](RecoveryKeyFile& it) { it.appliance_id = longer; }));
  EXPECT_TRUE(key_is_refused(out(7), [](RecoveryKeyFile& it) { it.appliance_id.clear(); }));
  RecoveryKeyFile blank = good_key();
  blank.token_serial.clear();
  EXPECT_EQ(parse_recovery_key(encode(blank)).token_serial, "") << "a token's may be blank";
}

TEST(RecoveryKeyFile, HasATimeThatIsOne) {
  RecoveryKeyFile last = good_key();
  last.created = INT64_MAX;
  EXPECT_EQ(parse_recovery_key(encode(last)).created, INT64_MAX);
  EXPECT_TRUE(key_is_refused(out_of_range(kKeyType, 8), [](RecoveryKeyFile& it) { it.created = INT64_MIN; }))
      << "written as 2^63";
}

TEST(RecoveryKeyFile, HasAPointOnItsCurve) {
  EXPECT_TRUE(key_is_refused("the recovery key's point is not on P-256",
                             [](RecoveryKeyFile& it) { it.point.back() ^= 1; }));
}

TEST(RecoveryKeyFile, HasOneOrTwoSuitesForItsKind) {
  const auto with = [](std::vector<Suite> suites) {
    return KeyChange([=](RecoveryKeyFile& it) { it.suites = suites; });
  };
  const std::string out = out_of_range(kKeyType, 3);
  EXPECT_TRUE(key_is_refused(out, with({})));
  EXPECT_TRUE(key_is_refused(out, with({Suite::EcdhX963, Suite::EcdhX963})));
  EXPECT_TRUE(key_is_refused(out, with({Suite::EcdhX963, Suite::EcdhEcbKdf, Suite::EcdhX963})));
  for (const Suite other : {Suite{0}, Suite::OaepSha256, Suite::OaepSha1})
    EXPECT_TRUE(key_is_refused("a suite other than 1 and 2", with({other})));
}

// A map with these keys, the type under the first.
Bytes map_with_keys(const std::vector<std::uint64_t>& keys, const std::string& type) {
  cbor::Writer out;
  out.map(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    out.unsigned_(keys[i]);
    if (i == 0) out.text(type);
    if (i > 0) out.null();
  }
  return out.take();
}

TEST(RecoveryKeyFile, HasItsMembersAndNoOthers) {
  const std::string why = "not a qpcseal/recovery-key/1";
  const auto refused = [&](const std::vector<std::uint64_t>& keys, const std::string& type) {
    return qpcseal::testing::throws_error(ErrorKind::Malformed, why,
                                          [&] { parse_recovery_key(map_with_keys(keys, type)); });
  };
  EXPECT_TRUE(refused({1, 2, 3, 4, 5, 6, 7}, kKeyType));
  EXPECT_TRUE(refused({1, 2, 3, 4, 5, 6, 7, 8, 9}, kKeyType));
  EXPECT_TRUE(refused({1, 2, 3, 4, 5, 6, 7, 9}, kKeyType));
  EXPECT_TRUE(refused({1, 2, 3, 4, 5, 6, 7, 8}, "qpcseal/recovery-key/2"));
  EXPECT_TRUE(refused({}, kKeyType));
}

class BackupFile : public ::testing::Test {
 protected:
  BackupFile() {
    header.aud = Bytes(16, 1);
    header.appliance_id = "source";
    header.token_serial = "serial";
    header.mek_id = Bytes(kMekIdSize, 2);
    header.name = "net";
    header.generation = 7;
    header.created = 1800000000;
    header.encryptions = UINT64_MAX;
    header.check_value = Bytes(kCheckValueSize, 3);
    header.seal_key = ed25519_spki(signer.public_key());
    header.log_key = signer.verifier("source").text();
    header.checkpoint = "a checkpoint";
    header.recovery_point = kGenerator;
    header.recovery_key = Bytes(32, 5);
    header.suite = Suite::EcdhEcbKdf;
    header.nonce = Bytes(32, 6);
    header.exposed_since = 1700000000;
  }
  // The header with its wrapped key, signed.
  [[nodiscard]] MekBackup signed_backup() {
    MekBackup out;
    out.header_bytes = encode_header(header);
    out.wrapped = {header.suite, Bytes(46, 7), header.nonce, kGenerator};
    out.signature = signer.sign(signed_text(out.header_bytes, out.wrapped));
    return out;
  }
  ::testing::AssertionResult refuses(const std::string& why,
                                     const std::function<void(BackupHeader&)>& change) {
    const BackupHeader good = header;
    change(header);
    const Bytes file = encode(signed_backup());
    header = good;
    return qpcseal::testing::throws_error(ErrorKind::Malformed, why, [&] { parse_backup(file); });
  }
  ::testing::AssertionResult refuses_member(int member, const std::function<void(BackupHeader&)>& change) {
    return refuses(out_of_range(kHeaderType, member), change);
  }

  qpcseal::testing::HostSigner signer{tlog::KeyType::Ed25519};
  BackupHeader header;
};

TEST_F(BackupFile, ComesBackAsItWasWritten) {
  const MekBackup backup = signed_backup(), read = parse_backup(encode(backup));
  EXPECT_EQ(encode_header(read.header), backup.header_bytes) << "each member";
  EXPECT_EQ(read.header_bytes, backup.header_bytes);
  EXPECT_EQ(read.header.encryptions, UINT64_MAX);
  EXPECT_EQ(read.wrapped.suite, Suite::EcdhEcbKdf);
  EXPECT_EQ(read.wrapped.encrypt, backup.wrapped.encrypt);
  EXPECT_EQ(read.wrapped.nonce, header.nonce);
  EXPECT_EQ(read.wrapped.pub, kGenerator);
}

TEST_F(BackupFile, IsSignedInAllItsParts) {
  constexpr const char* kWhy = "the backup is not signed by the seal key that it names";
  const auto refused = [&](const std::function<void(MekBackup&)>& change) {
    MekBackup backup = signed_backup();
    change(backup);
    return qpcseal::testing::throws_error(ErrorKind::Denied, kWhy, [&] { parse_backup(encode(backup)); });
  };
  EXPECT_TRUE(refused([&](MekBackup& it) {
    header.encryptions = 1;
    it.header_bytes = encode_header(header);
  }));
  EXPECT_TRUE(refused([](MekBackup& it) { it.wrapped.encrypt.back() ^= 1; }));
  EXPECT_TRUE(refused([](MekBackup& it) { it.wrapped.pub.back() ^= 1; }));
  EXPECT_TRUE(refused([](MekBackup& it) { it.signature.back() ^= 1; }));
  EXPECT_TRUE(refused([&](MekBackup& it) {
    header.seal_key = ed25519_spki(qpcseal::testing::HostSigner(tlog::KeyType::Ed25519).public_key());
    it.header_bytes = encode_header(header);
  })) << "by another key than it names";
}

TEST_F(BackupFile, HasMembersOfTheirSizes) {
  for (const int change : {-1, 1}) {
    const auto resize = [=](Bytes& bytes) {
      bytes.resize(static_cast<std::size_t>(static_cast<int>(bytes.size()) + change));
    };
    EXPECT_TRUE(refuses_member(2, [&](BackupHeader& it) { resize(it.aud); }));
    EXPECT_TRUE(refuses_member(5, [&](BackupHeader& it) { resize(it.mek_id); }));
    EXPECT_TRUE(refuses_member(10, [&](BackupHeader& it) { resize(it.check_value); }));
    EXPECT_TRUE(refuses_member(14, [&](BackupHeader& it) { resize(it.recovery_point); }));
    EXPECT_TRUE(refuses_member(15, [&](BackupHeader& it) { resize(it.recovery_key); }));
    EXPECT_TRUE(refuses_member(17, [&](BackupHeader& it) { resize(it.nonce); }));
    for (const int member : {4, 5}) {
      MekBackup backup = signed_backup();
      resize(member == 4 ? backup.wrapped.pub : backup.signature);
      EXPECT_ERROR(Malformed, out_of_range("qpcseal/backup/1", member), parse_backup(encode(backup)));
    }
  }
}

TEST_F(BackupFile, HasTextsThatAreNotEmptyAndOfTheirSizes) {
  const auto text = [](int member, std::string BackupHeader::* which, std::size_t most) {
    return std::make_tuple(member, which, most);
  };
  for (const auto& [member, which, most] :
       {text(3, &BackupHeader::appliance_id, 128), text(6, &BackupHeader::name, 128),
        text(12, &BackupHeader::log_key, 512), text(13, &BackupHeader::checkpoint, 8192)}) {
    EXPECT_TRUE(refuses_member(member, [&](BackupHeader& it) { (it.*which).clear(); })) << member;
    EXPECT_TRUE(refuses_member(member, [&](BackupHeader& it) { it.*which = std::string(most + 1, 'x'); }))
        << member;
  }
  header.name = std::string(128, 'x');
  header.checkpoint = std::string(8192, 'x');
  header.token_serial.clear();
  EXPECT_EQ(parse_backup(encode(signed_backup())).header.checkpoint.size(), 8192U);
  EXPECT_TRUE(refuses_member(4, [](BackupHeader& it) { it.token_serial = std::string(129, 'x'); }));
}

TEST_F(BackupFile, HasNumbersInTheirRange) {
  for (const std::uint64_t good : {1U, 999999999U}) {
    header.generation = good;
    EXPECT_EQ(parse_backup(encode(signed_backup())).header.generation, good);
  }
  for (const std::uint64_t bad : {0U, 1000000000U})
    EXPECT_TRUE(refuses_member(7, [&](BackupHeader& it) { it.generation = bad; })) << bad;
  EXPECT_TRUE(refuses_member(8, [](BackupHeader& it) { it.created = -1; }));
  EXPECT_TRUE(refuses_member(18, [](BackupHeader& it) { it.exposed_since = -1; }));
}

TEST_F(BackupFile, NamesKeysAndASuiteThatCanBe) {
  EXPECT_TRUE(refuses("the recovery key's point is not on P-256",
                      [](BackupHeader& it) { it.recovery_point.back() ^= 1; }));
  EXPECT_TRUE(refuses("a suite other than 1 and 2", [](BackupHeader& it) { it.suite = Suite::OaepSha256; }));
  EXPECT_TRUE(refuses("verif", [](BackupHeader& it) { it.log_key = "source+00000000+AQ=="; }));
  EXPECT_TRUE(refuses("not a SubjectPublicKeyInfo", [](BackupHeader& it) { it.seal_key.pop_back(); }));
}

TEST_F(BackupFile, HasAHeaderOfItsType) {
  MekBackup backup = signed_backup();
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text(text_view(encode(backup)));
    text.replace(text.find(from), from.size(), to);
    return copy(view(text));
  };
  EXPECT_ERROR(Malformed, "not a qpcseal/backup-header/2", parse_backup(with("header/2", "header/1")));
  EXPECT_ERROR(Malformed, "not a qpcseal/backup/1",
               parse_backup(with("qpcseal/backup/1", "qpcseal/backup/2")));
}

// A state that knows two keys' files.
TEST(KnownRecoveryKey, IsFoundByItsPoint) {
  audit::State state;
  const Bytes file = encode(good_key());
  EXPECT_EQ(known_recovery_key(state, kGenerator), nullptr);
  state.recovery_keys[sha256_hex(file)] = to_base64(file);
  const auto* known = known_recovery_key(state, kGenerator);
  ASSERT_NE(known, nullptr);
  EXPECT_EQ(known->first, sha256_hex(file));
  Bytes other = kGenerator;
  other.back() ^= 1;
  EXPECT_EQ(known_recovery_key(state, other), nullptr);
}

}  // namespace
}  // namespace qpcseal::keys
