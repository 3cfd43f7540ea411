// SPDX-License-Identifier: Apache-2.0
// Which cards a batch goes to.
#include "appliance/release/courier_batch.h"

#include <gtest/gtest.h>

#include "tests/base/expect_error.h"

namespace qpcseal::release {
namespace {

std::vector<unsigned> devices_below(unsigned count) {
  std::vector<unsigned> out;
  for (unsigned i = 0; i < count; ++i) out.push_back(i);
  return out;
}

TEST(CardAddresses, AreEachDeviceOnEachHostHostsFirst) {
  const auto cards = card_addresses({"b", "a"}, {3, 0});
  ASSERT_EQ(cards.size(), 4U);
  const std::pair<std::string, unsigned> expected[] = {{"b", 3}, {"b", 0}, {"a", 3}, {"a", 0}};
  for (std::size_t i = 0; i < cards.size(); ++i) {
    EXPECT_EQ(cards[i].host, expected[i].first) << i;
    EXPECT_EQ(cards[i].device, expected[i].second) << i;
  }
  EXPECT_TRUE(card_addresses({}, {0}).empty());
  EXPECT_TRUE(card_addresses({"a"}, {}).empty());
}

TEST(CardAddresses, AreNamesAndAddresses) {
  for (const std::string& host :
       {std::string("a"), std::string("host-1.plant.example"), std::string("10.0.0.7"),
        std::string("fe80:0:0:0:0:0:0:1"), std::string("A_b"), std::string(253, 'a')})
    EXPECT_EQ(card_addresses({host}, {0}).front().host, host);
  EXPECT_EQ(card_addresses({"[::1]"}, {0}).front().host, "::1");
  for (const std::string& host : {std::string(), std::string(".a"), std::string("-a"), std::string("a b"),
                                  std::string("a/b"), std::string("../a"), std::string("a\n"),
                                  std::string("a%eth0"), std::string("h\xc3\xb6st"), std::string(254, 'a')})
    EXPECT_ERROR(Usage, "--host '" + host + "' is no name or address of a host", card_addresses({host}, {0}));
}

TEST(CardAddresses, AreOfHostsThatComeOnce) {
  EXPECT_ERROR(Usage, "--host 'a' comes twice", card_addresses({"a", "b", "a"}, {0}));
  EXPECT_ERROR(Usage, "--host 'fe80__1' comes twice", card_addresses({"fe80::1", "fe80__1"}, {0}))
      << "their files would have one name";
}

TEST(CardAddresses, AreAtMostTwentyThousand) {
  EXPECT_EQ(card_addresses({"a"}, devices_below(kMaxTrip)).size(), kMaxTrip);
  EXPECT_ERROR(Usage, "20001 cards in one batch; at most 20000",
               card_addresses({"a"}, devices_below(kMaxTrip + 1)));
  EXPECT_ERROR(Usage, "20002 cards", card_addresses({"a", "b"}, devices_below(kMaxTrip / 2 + 1)));
}

}  // namespace
}  // namespace qpcseal::release
