// SPDX-License-Identifier: Apache-2.0
// Card numbers and hosts as people write them.
#include "attest/devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/expect_error.h"

namespace qpcseal::attest {
namespace {

using ::testing::ElementsAre;

TEST(Devices, AreNumbersRangesAndLists) {
  EXPECT_THAT(parse_devices("2"), ElementsAre(2U));
  EXPECT_THAT(parse_devices("0-3"), ElementsAre(0U, 1U, 2U, 3U));
  EXPECT_THAT(parse_devices("0,2"), ElementsAre(0U, 2U));
  EXPECT_THAT(parse_devices("7,0-1,3"), ElementsAre(7U, 0U, 1U, 3U)) << "in the order given";
  EXPECT_THAT(parse_devices("5-5"), ElementsAre(5U));
  EXPECT_THAT(parse_devices("007"), ElementsAre(7U));
}

TEST(Devices, GoUpTo1023) {
  EXPECT_THAT(parse_devices("1023"), ElementsAre(kMaxDevice));
  EXPECT_EQ(parse_devices("0-1023").size(), 1024U);
  for (const char* text : {"1024", "0-1024", "1024-1024", "4294967295"})
    EXPECT_ERROR(Usage, std::string("--device '") + text + "': card numbers go up to 1023",
                 parse_devices(text));
}

TEST(Devices, AreWrittenInDigitsAlone) {
  for (const char* text :
       {"",    ",",  "1,", ",1", "1,,2", "-",   "1-",  "-1",         "1-2-3",
        "a",   "1a", " 1", "1 ", "+1",   "0x1", "1.5", "4294967296", "99999999999999999999",
        "1;2", "1\n"})
    EXPECT_ERROR(Usage, std::string("--device '") + text + "': not a card number", parse_devices(text));
}

TEST(Devices, ComeOnce) {
  EXPECT_ERROR(Usage, "--device '1,1': card 1 comes twice", parse_devices("1,1"));
  EXPECT_ERROR(Usage, "card 2 comes twice", parse_devices("0-2,2"));
  EXPECT_ERROR(Usage, "card 3 comes twice", parse_devices("3,0-5"));
  EXPECT_ERROR(Usage, "card 1 comes twice", parse_devices("1,01"));
}

TEST(Devices, RunForwards) {
  EXPECT_ERROR(Usage, "--device '3-2': the range runs backwards", parse_devices("3-2"));
  EXPECT_ERROR(Usage, "the range runs backwards", parse_devices("0,1023-0"));
}

TEST(Hosts, LoseTheBracketsOfUrls) {
  EXPECT_EQ(bare_host("node7"), "node7");
  EXPECT_EQ(bare_host("10.0.0.7"), "10.0.0.7");
  EXPECT_EQ(bare_host("::1"), "::1");
  EXPECT_EQ(bare_host("[::1]"), "::1");
  EXPECT_EQ(bare_host("[fe80::2:3]"), "fe80::2:3");
  EXPECT_EQ(bare_host("[node7]"), "[node7]") << "no IPv6 address";
}

TEST(Hosts, HaveNoPortBehindThem) {
  for (const char* text : {"node7:62473", "10.0.0.7:1", "node7:", "[::1]:62473", "[::1]:"}) {
    EXPECT_ERROR(Usage, std::string("'") + text + "': a host with a port behind it", bare_host(text));
    EXPECT_ERROR(Usage, "a host with a port behind it", host_and_port(text, 1));
  }
}

TEST(Hosts, WithAPortHaveBracketsAroundAddressesWithColons) {
  EXPECT_EQ(host_and_port("node7", 62473), "node7:62473");
  EXPECT_EQ(host_and_port("10.0.0.7", 1), "10.0.0.7:1");
  EXPECT_EQ(host_and_port("::1", 62473), "[::1]:62473");
  EXPECT_EQ(host_and_port("[::1]", 65535), "[::1]:65535");
}

}  // namespace
}  // namespace qpcseal::attest
