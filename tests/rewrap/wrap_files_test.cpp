// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/wrapped_meks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/release/transaction.h"

#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"
#include "tests/rewrap/wrapped_cards.h"

namespace qpcseal::release {
namespace {

using qpcseal::testing::TempFolder;
using ::testing::ElementsAre;

keys::Mek mek() {
  keys::Mek out;
  out.label = "m#1";
  out.id = Bytes(16, 7);
  return out;
}

models::WrappedFor card(const std::string& dir, std::uint8_t number) {
  return testing::wrapped_card(mek().id, dir, number);
}

void write(const std::filesystem::path& to, const std::vector<models::WrappedFor>& cards) {
  testing::write_wrapped_cards(to, mek(), cards);
}

TEST(WrapFiles, AreReadAsTheyWereWritten) {
  const TempFolder dir;
  write(dir / "many", {card("b", 1), card("a", 2)});
  const models::WrappedSet set = models::read_wrapped({dir / "many"});
  EXPECT_EQ(set.mek_id, mek().id);
  EXPECT_EQ(set.mek, "m#1");
  ASSERT_EQ(set.cards.size(), 2U);
  EXPECT_EQ(set.cards[0].slots, card("b", 1).slots);
  EXPECT_EQ(set.cards[1].ueid, Bytes(17, 2));
  const models::WrappedSet turned = models::read_wrapped({dir / "many/a", dir / "many/b"});
  EXPECT_EQ(turned.cards[0].slots, card("a", 2).slots);
  EXPECT_EQ(turned.cards[1].dir, "b");
}

TEST(WrapFiles, NameFoldersByHostAndDeviceOrByCard) {
  const Bytes one(7, 1), two(7, 2);
  EXPECT_THAT(models::folder_names({{"rack 1/../x", 3, one}, {"", 1, two}}),
              ElementsAre("rack_1_.._x-3", "card-02020202020202"));
  EXPECT_THAT(models::folder_names({{"h", 3, one}, {"h", 3, two}}),
              ElementsAre("card-01010101010101", "card-02020202020202"));
  EXPECT_THAT(models::folder_names({{"..", 0, one}}), ElementsAre("_.-0"));
}

TEST(WrapFiles, RefuseAConfigThatIsOfAnotherForm) {
  const TempFolder dir;
  write(dir / "w", {card(models::kHere, 1)});
  const std::string good(text_view(read_file(dir / "w/config.json", 65536)));
  const auto refused = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    write_file(dir / "w/config.json", view(text), Existing::Replace);
    EXPECT_ERROR(Malformed, (dir / "w").string(), models::read_wrapped({dir / "w"})) << to;
  };
  refused("wrapped-meks/1", "wrapped-meks/2");
  refused("\"suite\"", "\"sweet\"");
  refused("\"folder\": \".\"", "\"folder\": \"..\"");
  refused("\"folder\": \".\"", "\"folder\": \"a/b\"");
  refused("0707", "0708");
  refused("\"nonce\": \"01", "\"nonce\": \"02");
  refused("\"format\"", "\"format\": 1, \"format\"");
  refused("{", "");
}

TEST(OutputSet, TakesBackWhatAppearedAndFoldersThatItMade) {
  const TempFolder dir;
  {
    OutputSet outputs(Existing::Refuse);
    outputs.dir(dir / "new");
    outputs.write(dir / "new/a", "x");
  }
  EXPECT_TRUE(dir.names().empty());
  OutputSet outputs(Existing::Refuse);
  outputs.write(dir / "a", "x");
  outputs.write(dir / "b", "y");
  write_file(dir / "b", view("another's"), Existing::Refuse);
  EXPECT_ERROR(Io, "exists", outputs.commit());
  EXPECT_FALSE(std::filesystem::exists(dir / "a"));
  EXPECT_EQ(text_view(read_file(dir / "b", 100)), "another's");
}

TEST(OutputSet, ANameThatIsTakenBehindTheResultIsAFaultOfADoneAct) {
  const TempFolder dir;
  OutputSet outputs(Existing::Refuse);
  outputs.write(dir / "a", "x");
  outputs.sync();
  write_file(dir / "a", view("another's"), Existing::Refuse);
  EXPECT_ERROR(DoneWithFault, "the release is done and logged", with_context("wrapping", [&] {
                 publish(outputs);
                 return 0;
               }));
}

}  // namespace
}  // namespace qpcseal::release
