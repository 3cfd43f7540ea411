// SPDX-License-Identifier: Apache-2.0
// The readers of claims: what they give, at which bound they refuse, and how they name what is wrong.
// claim_bounds_test.cpp holds the same against whole sets of claims, where only an id is left of it.
#include "attest/measurement.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "tests/attest/test_card.h"
#include "tests/base/expect_error.h"

namespace qpcseal::attest {
namespace {

using qpcseal::testing::cbor_array;
using qpcseal::testing::cbor_bytes;
using qpcseal::testing::cbor_int;
using qpcseal::testing::cbor_map;
using qpcseal::testing::cbor_text;
using qpcseal::testing::encode_measurement;
using qpcseal::testing::EncodedMap;
using qpcseal::testing::sample_measurement;

// What `read` makes of this item.
template <typename Read>
auto of(const Bytes& item, Read read) {
  return read(cbor::parse(item, cbor::Level::Deterministic, "item"));
}
Bytes unsigned_item(std::uint64_t value) { return cbor::Writer().unsigned_(value).take(); }

TEST(ReadSized, TakesBytesFromLowToHigh) {
  const auto read = [](const cbor::Value& value) { return read_sized(value, "seed", 2, 4); };
  EXPECT_EQ(of(cbor_bytes(Bytes(2, 7)), read), Bytes(2, 7));
  EXPECT_EQ(of(cbor_bytes(Bytes(4, 7)), read), Bytes(4, 7));
  EXPECT_ERROR(Malformed, "seed has 1 bytes", of(cbor_bytes(Bytes(1)), read));
  EXPECT_ERROR(Malformed, "seed has 5 bytes", of(cbor_bytes(Bytes(5)), read));
  EXPECT_ERROR(Malformed, "seed", of(cbor_text("abc"), read));
}

TEST(ReadUpTo, TakesNumbersUpToHighUncut) {
  const auto read = [](const cbor::Value& value) { return read_up_to(value, "dbgstat", 4); };
  EXPECT_EQ(of(unsigned_item(0), read), 0U);
  EXPECT_EQ(of(unsigned_item(4), read), 4U);
  EXPECT_ERROR(Malformed, "dbgstat is 5", of(unsigned_item(5), read));
  EXPECT_ERROR(Malformed, "dbgstat is 4294967297", of(unsigned_item((std::uint64_t{1} << 32) + 1), read));
  EXPECT_ERROR(Malformed, "dbgstat", of(cbor_int(-1), read));
}

TEST(ReadTime, TakesWhatATimeHolds) {
  const auto read = [](const cbor::Value& value) { return read_time(value, "exp"); };
  constexpr UnixTime kLast = std::numeric_limits<UnixTime>::max();
  EXPECT_EQ(of(unsigned_item(0), read), 0);
  EXPECT_EQ(of(unsigned_item(static_cast<std::uint64_t>(kLast)), read), kLast);
  EXPECT_ERROR(Malformed, "exp is beyond all time",
               of(unsigned_item(static_cast<std::uint64_t>(kLast) + 1), read));
  EXPECT_ERROR(Malformed, "exp", of(cbor_int(-1), read));
  EXPECT_ERROR(Malformed, "exp", of(cbor_text("0"), read));
}

TEST(ReadLabel, TakesTextThatATerminalMayShow) {
  const auto read = [](const cbor::Value& value) { return read_label(value, "name"); };
  EXPECT_EQ(of(cbor_text("a"), read), "a");
  EXPECT_EQ(of(cbor_text(std::string(128, 'a')), read), std::string(128, 'a'));
  const std::string two_bytes = "\xc3\xbc";
  std::string full, over = "a";
  for (int i = 0; i < 64; ++i) full += two_bytes, over += two_bytes;
  EXPECT_EQ(of(cbor_text(full), read), full);
  EXPECT_ERROR(Malformed, "name is empty or longer than 128 bytes", of(cbor_text(over), read))
      << "bytes count, not characters";
  EXPECT_ERROR(Malformed, "name is empty or longer than 128 bytes", of(cbor_text(""), read));
  EXPECT_ERROR(Malformed, "name has control characters", of(cbor_text("a\x1b[2J"), read));
  EXPECT_ERROR(Malformed, "name has control characters", of(cbor_text(std::string("a\0b", 3)), read));
}

TEST(ReadHwversion, TakesATextAndItsScheme) {
  const HardwareVersion alone = of(cbor_array({cbor_text("2.1")}), read_hwversion);
  EXPECT_EQ(alone.text, "2.1");
  EXPECT_EQ(alone.scheme, std::nullopt);
  EXPECT_EQ(of(cbor_array({cbor_text("2.1"), cbor_int(-1)}), read_hwversion).scheme, -1);
  EXPECT_ERROR(Malformed, "hwversion has neither 1 nor 2 elements", of(cbor_array({}), read_hwversion));
  EXPECT_ERROR(Malformed, "hwversion has neither 1 nor 2 elements",
               of(cbor_array({cbor_text("2"), cbor_int(1), cbor_int(1)}), read_hwversion));
  EXPECT_ERROR(Malformed, "hwversion scheme",
               of(cbor_array({cbor_text("2"), cbor_text("1")}), read_hwversion));
}

EncodedMap component() {
  return {{cbor_int(1), cbor_array({cbor_text("boot"), cbor_array({cbor_text("v1")})})},
          {cbor_int(2), cbor_array({cbor_int(-16), cbor_bytes(Bytes(32, 9))})},
          {cbor_int(-1), unsigned_item(std::numeric_limits<std::uint64_t>::max())}};
}
Bytes measured(const EncodedMap& members, std::uint64_t format = 65000) {
  return cbor_array({cbor_array({unsigned_item(format), cbor_bytes(cbor_map(members))})});
}

TEST(ReadMeasurements, GivesNameVersionDigestAndSvn) {
  const auto read = of(measured(component()), read_measurements);
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].name, "boot");
  EXPECT_EQ(read[0].version, "v1");
  EXPECT_EQ(read[0].algorithm, DigestAlgorithm::Sha256);
  EXPECT_EQ(read[0].digest, Bytes(32, 9));
  EXPECT_EQ(read[0].svn, std::numeric_limits<std::uint64_t>::max());
  EncodedMap least = component();
  least.erase(cbor_int(-1));
  least[cbor_int(1)] = cbor_array({cbor_text("boot")});
  least[cbor_int(2)] = cbor_array({cbor_int(-43), cbor_bytes(Bytes(48, 9))});
  const auto bare = of(measured(least), read_measurements);
  EXPECT_EQ(bare.at(0).version, "");
  EXPECT_EQ(bare.at(0).svn, std::nullopt);
  EXPECT_EQ(bare.at(0).algorithm, DigestAlgorithm::Sha384);
  EXPECT_EQ(bare.at(0).digest.size(), 48U);
}

TEST(ReadMeasurements, SaysWhatIsWrong) {
  const auto with = [](std::int64_t key, const Bytes& value) {
    EncodedMap members = component();
    members[cbor_int(key)] = value;
    return of(measured(members), read_measurements);
  };
  EXPECT_ERROR(Malformed, "measured component has the unexpected key 3", with(3, unsigned_item(1)));
  EXPECT_ERROR(Malformed, "a digest is neither SHA-256 nor SHA-384",
               with(2, cbor_array({cbor_int(-44), cbor_bytes(Bytes(64))})));
  EXPECT_ERROR(Malformed, "digest has 48 bytes", with(2, cbor_array({cbor_int(-16), cbor_bytes(Bytes(48))})));
  EXPECT_ERROR(Malformed, "component name is empty", with(1, cbor_array({cbor_text("")})));
  EXPECT_ERROR(Malformed, "component version",
               with(1, cbor_array({cbor_text("boot"), cbor_array({cbor_text("")})})));
  EncodedMap nameless = component();
  nameless.erase(cbor_int(1));
  EXPECT_ERROR(Malformed, "measured component lacks key 1", of(measured(nameless), read_measurements));
  EXPECT_ERROR(Malformed, "a measurement is no measured component",
               of(measured(component(), 65001), read_measurements));
  EXPECT_ERROR(Malformed, "measurements are empty", of(cbor_array({}), read_measurements));
  const Bytes one = encode_measurement(sample_measurement("boot", 1, 1)),
              same = encode_measurement(sample_measurement("boot", 2, 2));
  EXPECT_ERROR(Malformed, "two measurements of 'boot'", of(cbor_array({one, same}), read_measurements));
}

// The members of a component are inside a byte string, and as strict as what is around it.
TEST(ReadMeasurements, RefusesAComponentInAnotherOrder) {
  cbor::Writer writer;
  writer.map(2).integer(2).encoded(component().at(cbor_int(2)));
  writer.integer(1).encoded(component().at(cbor_int(1)));
  EXPECT_ERROR(
      Malformed, "measured component",
      of(cbor_array({cbor_array({unsigned_item(65000), cbor_bytes(writer.data())})}), read_measurements));
}

EncodedMap submodule() {
  return {{cbor_int(258), unsigned_item(7)},
          {cbor_int(259), cbor_bytes(Bytes{1, 2})},
          {cbor_int(260), cbor_array({cbor_text("3")})},
          {cbor_int(263), unsigned_item(4)},
          {cbor_int(273), measured(component())}};
}
std::vector<Submodule> submodules(const EncodedMap& members, const std::string& name = "nsp") {
  return of(cbor_map({{cbor_text(name), cbor_map(members)}}), read_submodules);
}

TEST(ReadSubmodules, GivesTheirClaims) {
  const auto read = submodules(submodule());
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].name, "nsp");
  EXPECT_EQ(read[0].oemid, 7U);
  EXPECT_EQ(read[0].hwmodel, (Bytes{1, 2}));
  EXPECT_EQ(read[0].hwversion.value().text, "3");
  EXPECT_EQ(read[0].dbgstat, 4U);
  EXPECT_EQ(read[0].measurements.at(0).name, "boot");
  EncodedMap least = submodule();
  for (const int key : {258, 259, 260}) least.erase(cbor_int(key));
  const auto bare = submodules(least);
  EXPECT_EQ(bare.at(0).oemid, std::nullopt);
  EXPECT_EQ(bare.at(0).hwmodel, std::nullopt);
  EXPECT_FALSE(bare.at(0).hwversion);
}

TEST(ReadSubmodules, SaysWhatIsWrong) {
  const auto without = [](std::int64_t key) {
    EncodedMap members = submodule();
    members.erase(cbor_int(key));
    return submodules(members);
  };
  EXPECT_ERROR(Malformed, "submodule lacks key 263", without(263));
  EXPECT_ERROR(Malformed, "submodule lacks key 273", without(273));
  EncodedMap more = submodule();
  more[cbor_int(266)] = cbor_map({});
  EXPECT_ERROR(Malformed, "submodule has the unexpected key 266", submodules(more)) << "none in another";
  more = submodule();
  more[cbor_int(259)] = cbor_bytes(Bytes(33));
  EXPECT_ERROR(Malformed, "hwmodel has 33 bytes", submodules(more));
  EXPECT_ERROR(Malformed, "submodule name is empty", submodules(submodule(), ""));
  EXPECT_ERROR(Malformed, "submods are empty", of(cbor_map({}), read_submodules));
  const Bytes token = cbor_map({{cbor_text("nsp"), cbor_bytes(Bytes(10))}});
  EXPECT_ERROR(Malformed, "submodule", of(token, read_submodules)) << "a nested token";
}

}  // namespace
}  // namespace qpcseal::attest
