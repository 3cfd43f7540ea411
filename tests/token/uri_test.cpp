// SPDX-License-Identifier: Apache-2.0
// URIs that name a key of a token.
#include "pkcs11/uri.h"

#include <gtest/gtest.h>

#include "tests/base/expect_error.h"

namespace qpcseal::pkcs11 {
namespace {

TEST(KeyUri, TakesTheAttributesThatNameAKey) {
  const KeyUri uri = parse_uri(
      "pkcs11:token=plant;serial=0a1b;model=HSM%209;manufacturer=Maker;object=resnet50;id=%01%fF;"
      "type=secret-key");
  EXPECT_EQ(uri.token, "plant");
  EXPECT_EQ(uri.serial, "0a1b");
  EXPECT_EQ(uri.model, "HSM 9");
  EXPECT_EQ(uri.manufacturer, "Maker");
  EXPECT_EQ(uri.object, "resnet50");
  EXPECT_EQ(uri.id, (Bytes{0x01, 0xff}));
}

TEST(KeyUri, LeavesOutWhatIsNotGiven) {
  const KeyUri by_name = parse_uri("pkcs11:object=a");
  EXPECT_EQ(by_name.object, "a");
  for (const auto& other : {by_name.token, by_name.serial, by_name.model, by_name.manufacturer})
    EXPECT_EQ(other, std::nullopt);
  EXPECT_EQ(by_name.id, std::nullopt);
  const KeyUri by_id = parse_uri("pkcs11:id=a");
  EXPECT_EQ(by_id.id, Bytes{'a'}) << "a byte that is written plainly";
  EXPECT_EQ(by_id.object, std::nullopt);
}

TEST(KeyUri, UnescapesEachByte) {
  EXPECT_EQ(parse_uri("pkcs11:object=%3b%3D%25%3f").object, ";=%?");
  EXPECT_EQ(parse_uri("pkcs11:object=a=b").object, "a=b") << "the first '=' ends the name";
  EXPECT_EQ(parse_uri("pkcs11:id=%00%00").id, Bytes(2, 0));
  EXPECT_EQ(parse_uri("pkcs11:object=%2541").object, "%41") << "once, not twice";
}

TEST(KeyUri, MayEndWithASemicolon) { EXPECT_EQ(parse_uri("pkcs11:object=a;").object, "a"); }

TEST(KeyUri, IsKnownByItsScheme) {
  EXPECT_TRUE(is_uri("pkcs11:"));
  EXPECT_TRUE(is_uri("pkcs11:object=a"));
  for (const char* text : {"", "pkcs11", "PKCS11:object=a", " pkcs11:object=a", "resnet50#1"}) {
    EXPECT_FALSE(is_uri(text)) << text;
    EXPECT_ERROR(Usage, "PKCS #11 URI: it begins with 'pkcs11:'", parse_uri(text));
  }
}

TEST(KeyUri, HoldsEachAttributeOnce) {
  for (const std::string name : {"token", "serial", "model", "manufacturer", "object", "id"})
    EXPECT_ERROR(Usage, "'" + name + "' is given twice",
                 parse_uri("pkcs11:object=a;id=b;" + name + "=c;" + name + "=c"));
}

TEST(KeyUri, RefusesWhatDoesNotNameAMek) {
  for (const std::string item : {"slot-id=1", "pin-value=1", "pin-source=a", "module-path=a", "Object=b",
                                 "type=private", "type=Secret-Key", "x-vendor=1", "=b"})
    EXPECT_ERROR(Usage, "'" + item.substr(0, item.find('=')) + "' does not help to name a MEK",
                 parse_uri("pkcs11:object=a;" + item));
}

TEST(KeyUri, RefusesAQuery) {
  for (const char* text : {"pkcs11:object=a?pin-value=1234", "pkcs11:object=a?", "pkcs11:?object=a"})
    EXPECT_ERROR(Usage, "no query here", parse_uri(text));
}

TEST(KeyUri, RefusesItemsWithoutAValue) {
  for (const auto& [text, item] : {std::pair{"pkcs11:object", "object"},
                                   {"pkcs11:object=", "object="},
                                   {"pkcs11:;object=a", ""},
                                   {"pkcs11:object=a;;id=b", ""},
                                   {"pkcs11:object=a;id", "id"}})
    EXPECT_ERROR(Usage, std::string("'") + item + "' is not name=value", parse_uri(text));
}

TEST(KeyUri, RefusesEscapesThatAreCutShort) {
  for (const char* value : {"%", "%4", "a%", "a%4", "%zz", "%4g", "%%41", "%+1", "% 1"})
    EXPECT_ERROR(Usage, "'%' without two hex digits", parse_uri(std::string("pkcs11:object=") + value));
}

TEST(KeyUri, NamesAKeyAndNotATokenAlone) {
  for (const char* text :
       {"pkcs11:", "pkcs11:token=plant", "pkcs11:type=secret-key", "pkcs11:token=a;serial=b"})
    EXPECT_ERROR(Usage, "it names no key: give object= or id=", parse_uri(text));
}

}  // namespace
}  // namespace qpcseal::pkcs11
