// SPDX-License-Identifier: Apache-2.0
// A collateral bundle member by member: what officers signed in another form, or beyond its bounds, is not
// read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/trust/collateral_bundle.h"
#include "encoding/json.h"
#include "tests/attest/test_card.h"
#include "tests/base/expect_error.h"

namespace qpcseal::release {
namespace {

using encoding::Json;
using namespace qpcseal::testing;

class BundleForm : public ::testing::Test {
 protected:
  static const Json& good() {
    static const Json json = [] {
      const TestCard card;
      const trust::Collateral bundle{3,
                                     kTestNow,
                                     kTestNow + kDay,
                                     {card.root.der()},
                                     {make_crl(card.issuer, {})},
                                     {{"boot 1.0", {Bytes(32, 5), Bytes(48, 6)}}},
                                     {card.ueid}};
      const std::string text = trust::encode_collateral(bundle);
      return encoding::parse_canonical(text.substr(0, text.size() - 1), "bundle");
    }();
    return json;
  }
  static trust::Collateral read(const Json& json) {
    return trust::parse_collateral(encoding::canonical(json) + "\n");
  }
  static trust::Collateral with(const char* member, const Json& value) {
    Json json = good();
    json[member] = value;
    return read(json);
  }
};

TEST_F(BundleForm, HasItsMembersAndNoOthers) {
  EXPECT_EQ(read(good()).serial, 3U);
  for (const auto& [name, value] : good().items()) {
    Json json = good();
    json.erase(name);
    EXPECT_ERROR(Malformed, "no member '" + name + "'", read(json));
    if (name != "type") {
      EXPECT_ERROR(Malformed, "'" + name + "' is no", with(name.c_str(), Json(nullptr))) << name;
    }
  }
  EXPECT_ERROR(Malformed, "unknown member", with("more", 1U));
  EXPECT_ERROR(Malformed, "not one", with("type", "qpcseal-trust"));
  EXPECT_ERROR(Malformed, "not one", with("v", 2U));
  EXPECT_ERROR(Malformed, "serial is 0", with("serial", 0U));
  EXPECT_ERROR(Malformed, "'serial' is not an unsigned integer", with("serial", -1));
  EXPECT_ERROR(Malformed, "time", with("not_before", "2027-01-15"));
}

TEST_F(BundleForm, HasListsOfTextsWithoutRepeats) {
  for (const char* name : {"roots", "crls", "revoked_ueids"}) {
    const Json item = good().at(name).at(0);
    EXPECT_ERROR(Malformed, "no list", with(name, item)) << name;
    EXPECT_ERROR(Malformed, "no list", with(name, {{"a", item}})) << name;
    EXPECT_ERROR(Malformed, "not a text", with(name, Json::array({item, 1U}))) << name;
    EXPECT_ERROR(Malformed, "one thing twice", with(name, Json::array({item, item}))) << name;
  }
  Json many = Json::array();
  for (unsigned i = 0; i < 65; ++i) many.push_back(to_base64(Bytes(9, static_cast<std::uint8_t>(i))));
  for (const char* name : {"roots", "crls"}) EXPECT_ERROR(Malformed, "too long", with(name, many)) << name;
  EXPECT_ERROR(Malformed, "no root", with("roots", Json::array()));
  EXPECT_ERROR(Malformed, "certificate", with("roots", Json::array({"AAAA"})));
  EXPECT_ERROR(Malformed, "CRL", with("crls", Json::array({"AAAA"})));
  EXPECT_ERROR(Malformed, "certificate", with("roots", good().at("crls")));
  EXPECT_ERROR(Malformed, "CRL", with("crls", good().at("roots")));
  EXPECT_TRUE(with("crls", Json::array()).crls.empty());
  EXPECT_TRUE(with("revoked_ueids", Json::array()).revoked_ueids.empty());
}

TEST_F(BundleForm, HasUeidsAndDigestsOfTheirSizes) {
  for (const std::size_t size : {7U, 33U})
    EXPECT_EQ(with("revoked_ueids", Json::array({to_hex(Bytes(size, 1))})).revoked_ueids.size(), 1U);
  for (const std::size_t size : {0U, 6U, 34U})
    EXPECT_ERROR(Malformed, "7 to 33", with("revoked_ueids", Json::array({to_hex(Bytes(size, 1))})));
  EXPECT_ERROR(Malformed, "not a hexadecimal digit", with("revoked_ueids", Json::array({"0102030405060G"})));
  EXPECT_ERROR(Malformed, "not in its one written form",
               with("revoked_ueids", Json::array({"0A0B0C0D0E0F00"})));  // one written form
  for (const std::size_t size : {0U, 31U, 33U, 47U, 49U})
    EXPECT_ERROR(Malformed, "neither 32 nor 48",
                 with("references", {{"a", Json::array({to_hex(Bytes(size, 1))})}}));
}

TEST_F(BundleForm, NamesReferencesInPrintableText) {
  const Json digests = good().at("references").at("boot 1.0");
  for (const std::string& name : {std::string("a"), std::string(128, '~'), std::string(" ")})
    EXPECT_TRUE(with("references", {{name, digests}}).references.contains(name));
  for (const std::string& name :
       {std::string(), std::string(129, 'a'), std::string("a\nb"), std::string("a\x7f"), std::string("ü")})
    EXPECT_ERROR(Malformed, "printable", with("references", {{name, digests}}));
  EXPECT_ERROR(Malformed, "no object", with("references", Json::array()));
  EXPECT_ERROR(Malformed, "no digest", with("references", {{"a", Json::array()}}));
  EXPECT_ERROR(Malformed, "no list", with("references", {{"a", "b"}}));
  EXPECT_ERROR(Malformed, "one thing twice",
               with("references", {{"a", Json::array({digests.at(0), digests.at(0)})}}));
}

TEST_F(BundleForm, IsCanonicalAndEndsWithALineFeed) {
  const std::string text = encoding::canonical(good());
  EXPECT_NO_THROW(trust::parse_collateral(text + "\n"));
  EXPECT_ERROR(Malformed, "line feed", trust::parse_collateral(text));
  EXPECT_ERROR(Malformed, "line feed", trust::parse_collateral(""));
  for (const std::string& other :
       {text + "\n\n", " " + text + "\n", text + " \n", std::string("{}\n"), std::string("\n")})
    EXPECT_ERROR(Malformed, "collateral bundle: ", trust::parse_collateral(other));
  EXPECT_ERROR(Malformed, "4 MiB", trust::parse_collateral(std::string(trust::kMaxCollateral, ' ') + "\n"));
}

}  // namespace
}  // namespace qpcseal::release
