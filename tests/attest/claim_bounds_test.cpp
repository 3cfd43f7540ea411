// SPDX-License-Identifier: Apache-2.0
// Claims at their bounds and just beyond, in both schemes, without any signature: what the readers let
// through and what they name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "encoding/cbor.h"
#include "tests/attest/test_enclave.h"
#include "tests/base/finding_ids.h"

namespace qpcseal::attest {
namespace {

using namespace qpcseal::testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Ids = std::vector<std::string>;

Bytes array(const std::vector<Bytes>& items) { return cbor_array(items); }
Bytes text(std::size_t size) { return cbor_text(std::string(size, 'a')); }
Bytes bytes(std::size_t size) { return cbor_bytes(Bytes(size, 1)); }
Bytes number(std::uint64_t value) { return cbor::Writer().unsigned_(value).take(); }

// The claims of a good card, one of them another.
class CardClaims : public ::testing::Test {
 protected:
  static const EncodedMap& good() {
    static const EncodedMap claims = TestCard().claims;
    return claims;
  }
  static Ids found(std::int64_t key, const Bytes& value) {
    EncodedMap claims = good();
    claims[cbor_int(key)] = value;
    const Bytes payload = cbor_map(claims);
    Findings findings;
    const auto parsed = parse_claims(payload, findings);
    EXPECT_EQ(parsed.has_value(), findings.empty());
    return ids(findings);
  }
  static void expect_good(std::int64_t key, const std::vector<Bytes>& values) {
    for (const Bytes& value : values)
      EXPECT_THAT(found(key, value), IsEmpty()) << key << " " << to_hex(value);
  }
  static void expect_bad(std::int64_t key, const char* id, const std::vector<Bytes>& values) {
    for (const Bytes& value : values)
      EXPECT_THAT(found(key, value), ElementsAre(id)) << key << " " << to_hex(value);
  }
};

TEST_F(CardClaims, HaveTheirSizes) {
  expect_good(10, {bytes(8), bytes(64)});
  expect_bad(10, "ATT-NONCE", {bytes(7), bytes(65), bytes(0)});
  expect_good(256, {bytes(7), bytes(33)});
  expect_bad(256, "ATT-UEID", {bytes(6), bytes(34)});
  expect_good(259, {bytes(1), bytes(32)});
  expect_bad(259, "ATT-HWMODEL", {bytes(0), bytes(33)});
  expect_good(268, {bytes(32), bytes(64)});
  expect_bad(268, "ATT-BOOTSEED", {bytes(31), bytes(65)});
  const std::string aud(32, 'a');
  expect_good(3, {cbor_text(aud)});
  expect_bad(3, "ATT-AUD",
             {cbor_text(aud + "aa"), cbor_text(aud.substr(2)), cbor_text(aud.substr(1)),
              cbor_text(std::string(32, 'A')), cbor_text(aud.substr(1) + "g"), cbor_text("")});
}

TEST_F(CardClaims, HaveTheirRanges) {
  expect_good(263, {number(0), number(4)});
  expect_bad(263, "ATT-DBGSTAT", {number(5), number(std::uint64_t{1} << 32)});
  expect_good(-75002, {number(0), number(3)});
  expect_bad(-75002, "ATT-LIFECYCLE", {number(4), number(std::uint64_t{1} << 32)});
  constexpr std::uint64_t kLast = std::uint64_t{1} << 63;
  expect_good(4, {number(kLast - 1)});
  expect_bad(4, "ATT-EXP", {number(kLast), number(~std::uint64_t{0})});
  expect_good(6, {number(0), number(kLast - 1)});
  expect_bad(6, "ATT-IAT", {number(kLast)});
  expect_good(258, {number(~std::uint64_t{0})});
}

TEST_F(CardClaims, HaveTextThatATerminalMayShow) {
  expect_good(
      260, {array({text(1)}), array({text(128)}), array({text(1), cbor_int(-1)}), array({cbor_text("ü")})});
  expect_bad(260, "ATT-HWVERSION",
             {array({}), array({text(0)}), array({text(129)}), array({cbor_text("a\x1b[2J")}),
              array({cbor_text("a\x7f")}), array({cbor_text("a\n")}), array({text(1), text(1)}),
              array({text(1), cbor_int(1), cbor_int(1)}), array({cbor_int(1)}), text(1)});
}

TEST_F(CardClaims, HoldOneSessionKey) {
  const KeyPtr key = make_ec_key("P-256");
  const Bytes one = cbor_map(cose_key(key.get()));
  expect_good(8, {cbor_map({{cbor_int(1), one}})});
  expect_bad(8, "ATT-CNF",
             {cbor_map({{cbor_int(1), one}, {cbor_int(2), one}}), cbor_map({{cbor_int(2), one}}),
              cbor_map({{cbor_int(1), array({one})}}), cbor_map({}), array({one})});
  EncodedMap with_private = cose_key(key.get());
  with_private[cbor_int(-4)] = bytes(32);
  expect_bad(8, "ATT-CNF", {cbor_map({{cbor_int(1), cbor_map(with_private)}})});
}

Bytes component(const EncodedMap& members, std::uint64_t format = 65000) {
  return array({number(format), cbor_bytes(cbor_map(members))});
}
EncodedMap members(const Bytes& id, const Bytes& digest) {
  return {{cbor_int(1), id}, {cbor_int(2), digest}};
}

TEST_F(CardClaims, MeasureComponentsInOneForm) {
  const Bytes id = array({cbor_text("boot")}), sha384 = array({cbor_int(-43), bytes(48)});
  const auto list = [](const Bytes& one) { return array({one}); };
  const auto of_id = [&](const Bytes& other) { return list(component(members(other, sha384))); };
  const auto of_digest = [&](const Bytes& other) { return list(component(members(id, other))); };
  const auto with = [&](std::int64_t key, const Bytes& value) {
    EncodedMap more = members(id, sha384);
    more[cbor_int(key)] = value;
    return list(component(more));
  };
  expect_good(273, {of_id(id), of_id(array({text(128)})), of_id(array({text(1), array({text(1)})})),
                    of_digest(array({cbor_int(-16), bytes(32)})), with(-1, number(~std::uint64_t{0}))});
  expect_bad(273, "ATT-MEASUREMENTS",
             {of_id(array({})), of_id(array({text(0)})), of_id(array({text(129)})), of_id(text(1)),
              of_id(array({cbor_text("a\x1b")})), of_id(array({text(1), text(1)})),
              of_id(array({text(1), array({})})), of_id(array({text(1), array({text(1), text(1)})})),
              of_id(array({text(1), array({text(1)}), text(1)}))});
  expect_bad(273, "ATT-MEASUREMENTS",
             {of_digest(array({cbor_int(-43), bytes(47)})), of_digest(array({cbor_int(-43), bytes(49)})),
              of_digest(array({cbor_int(-43), bytes(32)})), of_digest(array({cbor_int(-16), bytes(48)})),
              of_digest(array({cbor_int(-16), bytes(31)})), of_digest(array({cbor_int(-44), bytes(64)})),
              of_digest(array({cbor_int(-14), bytes(20)})), of_digest(array({cbor_int(-43)})),
              of_digest(array({cbor_int(-43), bytes(48), bytes(48)})), of_digest(bytes(48))});
  expect_bad(
      273, "ATT-MEASUREMENTS",
      {array({}), list(component({{cbor_int(1), id}})), list(component({{cbor_int(2), sha384}})),
       with(3, number(1)), with(0, number(1)), with(-1, cbor_int(-1)), with(-1, text(1)),
       list(component(members(id, sha384), 65001)), list(component(members(id, sha384), 64999)),
       list(array({number(65000)})), list(array({number(65000), cbor_map(members(id, sha384))})),
       list(array({number(65000), bytes(3), bytes(3)})), list(text(1)),
       array({component(members(id, sha384)), component(members(id, array({cbor_int(-16), bytes(32)})))})});
}

TEST_F(CardClaims, SubmodulesSayWhatTheyRun) {
  const Bytes measurements = array({encode_measurement(sample_measurement("nsp", 5, 1))});
  const EncodedMap least = {{cbor_int(263), number(4)}, {cbor_int(273), measurements}};
  const auto with = [&](std::int64_t key, const Bytes& value) {
    EncodedMap set = least;
    set[cbor_int(key)] = value;
    return cbor_map({{cbor_text("soc"), cbor_map(set)}});
  };
  const auto without = [&](std::int64_t key) {
    EncodedMap set = least;
    set.erase(cbor_int(key));
    return cbor_map({{cbor_text("soc"), cbor_map(set)}});
  };
  expect_good(266,
              {cbor_map({{cbor_text("soc"), cbor_map(least)}}), with(258, number(1)), with(259, bytes(32)),
               with(260, array({text(1)})), cbor_map({{text(128), cbor_map(least)}})});
  expect_bad(266, "ATT-SUBMODS",
             {cbor_map({}), without(263), without(273), with(263, number(5)), with(258, text(1)),
              with(259, bytes(0)), with(259, bytes(33)), with(260, array({})), with(256, bytes(7)),
              with(266, cbor_map({})), with(273, array({})), cbor_map({{text(0), cbor_map(least)}}),
              cbor_map({{text(129), cbor_map(least)}}), cbor_map({{cbor_int(1), cbor_map(least)}}),
              cbor_map({{cbor_text("soc"), bytes(9)}})});
}

// A document with one field another, unsigned.
class NitroFields : public ::testing::Test {
 protected:
  static Bytes message(ByteView document, std::size_t signature = 96) {
    return array({cbor_bytes(cbor_map({{cbor_int(1), cbor_int(-35)}})), cbor_map({}), cbor_bytes(document),
                  bytes(signature)});
  }
  static Ids read(const Bytes& report) {
    const Evidence evidence = find_scheme("aws-nitro")->inspect(report);
    EXPECT_EQ(evidence.claims.has_value(), evidence.findings.empty());
    return ids(evidence.findings);
  }
  static Ids found(const std::string& name, const Bytes& value) {
    TestEnclave enclave = sample();
    enclave.set(name, value);
    return read(message(enclave.document()));
  }
  static void expect_good(const std::string& name, const std::vector<Bytes>& values) {
    for (const Bytes& value : values)
      EXPECT_THAT(found(name, value), IsEmpty()) << name << " " << to_hex(value);
  }
  static void expect_bad(const std::string& name, const char* id, const std::vector<Bytes>& values) {
    for (const Bytes& value : values)
      EXPECT_THAT(found(name, value), ElementsAre(id)) << name << " " << to_hex(value);
  }
  // Without keys and certificates of its own each time.
  static TestEnclave sample() {
    static const auto fields = TestEnclave().fields;
    TestEnclave out = TestEnclave::empty();
    out.fields = fields;
    return out;
  }
};

TEST_F(NitroFields, NameInstanceAndEnclave) {
  const auto module = [](std::size_t instance, std::size_t enclave) {
    return cbor_text("i-" + std::string(instance, 'a') + "-enc" + std::string(enclave, '0'));
  };
  expect_good("module_id", {module(8, 1), module(17, 32)});
  expect_bad("module_id", "ATT-UEID",
             {module(7, 1), module(18, 1), module(8, 0), module(8, 33), cbor_text("x-aaaaaaaa-enc0"),
              cbor_text("i-aaaaaaag-enc0"), cbor_text("i-aaaaaaaa-encg"), cbor_text("i-aaaaaaa/-enc0"),
              cbor_text("i-aaaaaaa:-enc0"), cbor_text("i-aaaaaaa`-enc0"), cbor_text("i-aaaaaaaa_enc0"),
              cbor_text("")});
}

TEST_F(NitroFields, HaveTheirSizes) {
  expect_good("nonce", {bytes(0), bytes(512)});
  expect_bad("nonce", "ATT-NONCE", {bytes(513)});
  expect_good("user_data", {bytes(0), bytes(1024)});
  expect_bad("user_data", "ATT-AUD", {bytes(1025)});
  expect_good("public_key", {bytes(1), bytes(1024)});  // no session key, but no fault of the document
  expect_bad("public_key", "ATT-CNF", {bytes(0), bytes(1025), text(9)});
  expect_good("certificate", {bytes(1), bytes(1024)});
  expect_bad("certificate", "ATT-CHAIN", {bytes(0), bytes(1025), text(9)});
  expect_good("cabundle", {array({bytes(1), bytes(1024)})});
  expect_bad("cabundle", "ATT-CHAIN",
             {array({}), array({bytes(1), bytes(0)}), array({bytes(1025)}), array({text(9)}), bytes(9)});
  constexpr std::uint64_t kLast = std::uint64_t{1} << 63;
  expect_good("timestamp", {number(1), number(kLast - 1)});
  expect_bad("timestamp", "ATT-IAT", {number(0), number(kLast)});
}

TEST_F(NitroFields, MeasureIntoRegistersOfOneSize) {
  const auto pcr = [](std::uint64_t index, std::size_t size) {
    return cbor_map({{number(index), bytes(size)}});
  };
  expect_good("pcrs", {pcr(0, 48), pcr(31, 48)});
  expect_bad("pcrs", "ATT-MEASUREMENTS",
             {cbor_map({}), pcr(32, 48), pcr(0, 47), pcr(0, 49), pcr(0, 0), array({})});
  EncodedMap all;
  for (std::uint64_t i = 0; i < 32; ++i) all[number(i)] = bytes(48);
  expect_good("pcrs", {cbor_map(all)});
  expect_bad("digest", "ATT-MEASUREMENTS",
             {cbor_text("SHA512"), cbor_text("sha384"), cbor_text(""), bytes(6)});
}

TEST_F(NitroFields, AreNamedByTextAndKnown) {
  TestEnclave enclave = sample();
  cbor::Writer writer;
  writer.map(enclave.fields.size() + 1);
  for (const auto& [name, value] : enclave.fields) writer.text(name).encoded(value);
  writer.unsigned_(1).unsigned_(1);
  EXPECT_THAT(read(message(writer.data())), ElementsAre("ATT-UNKNOWN-CLAIM"));
  EXPECT_THAT(read(message(array({}))), ElementsAre("ATT-CBOR"));
}

TEST_F(NitroFields, AreInAMessageOfItsSizes) {
  const Bytes document = sample().document();
  EXPECT_THAT(read(message(document)), IsEmpty());
  for (const std::size_t size : {0U, 95U, 97U})
    EXPECT_THAT(read(message(document, size)), ElementsAre("ATT-COSE"));
  EXPECT_THAT(read(message({})), ElementsAre("ATT-COSE"));
  EXPECT_THAT(read(message(Bytes(16384, 0))), ElementsAre("ATT-CBOR"));
  EXPECT_THAT(read(message(Bytes(16385, 0))), ElementsAre("ATT-COSE"));
  EXPECT_THAT(read(Bytes(kMaxReport + 1, 0x84)), ElementsAre("ATT-COSE"));
}

}  // namespace
}  // namespace qpcseal::attest
