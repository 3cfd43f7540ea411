// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/base/expect_error.h"

namespace qpcseal {
namespace {

using ::testing::ElementsAre;

TEST(Hex, WritesLowerCaseAndReadsEitherCase) {
  EXPECT_EQ(to_hex(Bytes{0x00, 0x9a, 0xff}), "009aff");
  EXPECT_EQ(from_hex("009aFf"), (Bytes{0x00, 0x9a, 0xff}));
  EXPECT_EQ(to_hex({}), "");
  EXPECT_TRUE(from_hex("").empty());
}

TEST(Hex, RefusesWhatIsNotHex) {
  EXPECT_ERROR(Malformed, "odd length", from_hex("abc"));
  for (const char* text : {"0g", "g0", " 0", "0 ", "0x", "+1", "-1", "\n0", "\xc3\xa9"})
    EXPECT_ERROR(Malformed, "digit", from_hex(text)) << text;
  EXPECT_ERROR(Malformed, "digit", from_hex(std::string_view("a\0", 2)));
}

TEST(Hex, EveryByteGoesThereAndBack) {
  Bytes all;
  for (unsigned i = 0; i < 256; ++i) all.push_back(static_cast<std::uint8_t>(i));
  EXPECT_EQ(from_hex(to_hex(all)), all);
}

TEST(Base64, Rfc4648Vectors) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(to_base64(view(plain)), encoded);
    EXPECT_EQ(text_view(from_base64(encoded)), plain);
  }
}

TEST(Base64, OneTextForEachValue) {
  for (const char* text : {"Zh==", "Zm9=", "Zg==Zg==", "=Zg=", "Z===", "====", "Zg =", " Zg=", "Zg==\n\n\n\n",
                           "\n\n\n\nZg==", "Zm-_", "Zm8.", "Zm\n="})
    EXPECT_ERROR(Malformed, "base64", from_base64(text)) << text;
  for (const char* text : {"Z", "Zg", "Zg=", "Zg==\n"})
    EXPECT_ERROR(Malformed, "multiple of 4", from_base64(text)) << text;
  EXPECT_ERROR(Malformed, "base64", from_base64(std::string_view("Zg\0=", 4)));
}

TEST(Base64, RandomBytesGoThereAndBackAndNeighboursAreRefusedOrDiffer) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    Bytes bytes(random() % 40);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    std::string text = to_base64(bytes);
    ASSERT_EQ(from_base64(text), bytes);
    if (text.empty()) continue;
    const char before = text[random() % text.size()];
    char& at = text[random() % text.size()];
    if (at == before) continue;
    at = before;
    try {
      ASSERT_NE(from_base64(text), bytes) << text;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::Malformed);
    }
  }
}

TEST(Integers, BothEndsAndEveryWidth) {
  Bytes out;
  append_be(out, 0x0102030405060708, 8);
  EXPECT_THAT(out, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_EQ(load_be(out), 0x0102030405060708U);
  EXPECT_EQ(load_le(out), 0x0807060504030201U);
  for (unsigned width = 1; width <= 8; ++width) {
    const std::uint64_t most = width == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * width)) - 1;
    for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, most - 1, most}) {
      Bytes big, little;
      append_be(big, value, width);
      append_le(little, value, width);
      EXPECT_EQ(big.size(), width);
      EXPECT_EQ(little.size(), width);
      EXPECT_EQ(load_be(big), value);
      EXPECT_EQ(load_le(little), value);
    }
  }
}

TEST(Lp16, UpTo65535Bytes) {
  Bytes out;
  append_lp16(out, view("ab"));
  EXPECT_THAT(out, ElementsAre(0, 2, 'a', 'b'));
  Bytes longest;
  append_lp16(longest, Bytes(65535));
  EXPECT_EQ(longest.size(), 65537U);
  EXPECT_ERROR(Internal, "65535", append_lp16(out, Bytes(65536)));
  EXPECT_EQ(out.size(), 4U) << "nothing may be written by a call that fails";
}

TEST(Equal, ByContentAndSize) {
  EXPECT_TRUE(equal({}, {}));
  EXPECT_TRUE(equal(view("abc"), view("abc")));
  EXPECT_FALSE(equal(view("abc"), view("abd")));
  EXPECT_FALSE(equal(view("abc"), view("ab")));
  EXPECT_FALSE(equal(view("abc"), {}));
}

TEST(ByteReader, ReadsInOrder) {
  const Bytes bytes = {1, 2, 3, 4, 0, 1, 9};
  ByteReader reader(bytes, "sample");
  EXPECT_EQ(reader.be(2), 0x0102U);
  EXPECT_EQ(reader.le(2), 0x0403U);
  EXPECT_THAT(reader.lp16(), ElementsAre(9));
  EXPECT_EQ(reader.remaining(), 0U);
  EXPECT_TRUE(reader.take(0).empty());
  reader.expect_end();
}

TEST(ByteReader, NeverPastTheEnd) {
  const Bytes bytes = {0, 4, 1, 2, 3};
  EXPECT_ERROR(Malformed, "sample: truncated", ByteReader(bytes, "sample").take(6));
  EXPECT_ERROR(Malformed, "sample: truncated", ByteReader(bytes, "sample").take(~std::size_t{0}));
  EXPECT_ERROR(Malformed, "sample: truncated", ByteReader(bytes, "sample").be(8));
  EXPECT_ERROR(Malformed, "sample: truncated", ByteReader(bytes, "sample").lp16());
  EXPECT_ERROR(Malformed, "sample: truncated", ByteReader({}, "sample").be(1));
  EXPECT_ERROR(Malformed, "sample: 5 bytes after the end", ByteReader(bytes, "sample").expect_end());
}

TEST(ByteReader, AFailedReadTakesNothing) {
  const Bytes bytes = {7, 8};
  ByteReader reader(bytes, "sample");
  EXPECT_ERROR(Malformed, "truncated", reader.take(3));
  EXPECT_EQ(reader.be(2), 0x0708U);
}

}  // namespace
}  // namespace qpcseal
