// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/wrapped_meks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

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
  EXPECT_THAT(models::folder_names({{"Node", 3, one}, {"node", 3, two}}),
              ElementsAre("card-01010101010101", "card-02020202020202"))
      << "one name on some media";
  EXPECT_EQ(models::folder_names({{std::string(198, 'h'), 3, one}}).front().size(), 200U);
  EXPECT_THAT(models::folder_names({{std::string(199, 'h'), 3, one}}), ElementsAre("card-01010101010101"));
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

// One card's folder, whose config.json a test changes.
class ChangedConfig : public ::testing::Test {
 protected:
  ChangedConfig() { write(here, {card(models::kHere, 1)}); }
  models::WrappedSet read_with(const std::function<void(nlohmann::json&)>& edit) {
    nlohmann::json config = nlohmann::json::parse(text_view(read_file(here / "config.json", 65536)));
    edit(config);
    write_file(here / "config.json", view(config.dump()), Existing::Replace);
    return models::read_wrapped({here});
  }
  TempFolder dir;
  std::filesystem::path here = dir / "w";
};

TEST_F(ChangedConfig, OfTheSameFilesIsRead) {
  EXPECT_EQ(read_with([](auto&) {}).cards.size(), 1U);
}

TEST_F(ChangedConfig, NamesEachOfTheFilesByItsDigest) {
  for (const char* member : {"wrapped_sha256", "pub_sha256", "nonce"}) {
    std::string before;
    EXPECT_ERROR(Malformed, "its files are not those that config.json names", read_with([&](auto& config) {
                   before = config["wrapped"][0][member];
                   config["wrapped"][0][member] = std::string(64, 'e');
                 }))
        << member;
    read_with([&](auto& config) { config["wrapped"][0][member] = before; });
  }
}

TEST_F(ChangedConfig, NamesTheKeyThatIsInTheFiles) {
  EXPECT_ERROR(Malformed, "MEK.encrypt holds another MEK than config.json says",
               read_with([](auto& config) { config["mek_id"] = std::string(32, '8'); }));
}

TEST_F(ChangedConfig, NamesFoldersOfCardsAlone) {
  for (const std::string& name : {std::string(".."), std::string("a/b"), std::string(), std::string("a b"),
                                  std::string(".a"), std::string(256, 'a')})
    EXPECT_ERROR(Malformed, "a folder with a name that no card's has",
                 read_with([&](auto& config) { config["wrapped"][0]["folder"] = name; }));
  EXPECT_ERROR(Io, std::string(255, 'a'),
               read_with([](auto& config) { config["wrapped"][0]["folder"] = std::string(255, 'a'); }))
      << "such a name a card's may have";
}

TEST_F(ChangedConfig, ListsOneCardAtLeastAnd20000AtMost) {
  const std::string why = "it names no wrapped MEK, or too many";
  EXPECT_ERROR(Malformed, why, read_with([](auto& config) { config["wrapped"] = nlohmann::json::array(); }));
  EXPECT_ERROR(Malformed, why, read_with([](auto& config) { config["wrapped"] = "none"; }));
  EXPECT_ERROR(Malformed, why,
               read_with([](auto& config) { config["wrapped"] = std::vector<int>(20001, 0); }));
  EXPECT_ERROR(Malformed, "wrapped",
               read_with([](auto& config) { config["wrapped"] = std::vector<int>(20000, 0); }))
      << "as many are looked at";
}

TEST(WrapFiles, HoldWrappedMeks) {
  const TempFolder dir;
  models::WrappedFor other = card(models::kHere, 1);
  other.slots.encrypt[0] ^= 1U;
  write(dir / "w", {other});
  EXPECT_ERROR(Malformed, "MEK.encrypt is no wrapped MEK", models::read_wrapped({dir / "w"}));
}

TEST(WrapFiles, OfOneSetAreOfOneKey) {
  const TempFolder dir;
  keys::Mek another = mek();
  another.id = Bytes(16, 8);
  write(dir / "a", {card(models::kHere, 1)});
  testing::write_wrapped_cards(dir / "b", another, {testing::wrapped_card(another.id, models::kHere, 2)});
  EXPECT_EQ(models::read_wrapped({dir / "a", dir / "a"}).cards.size(), 2U);
  EXPECT_ERROR(Denied, "b holds a wrapped MEK of another id than the folder before it",
               models::read_wrapped({dir / "a", dir / "b"}));
}

TEST(WrapFiles, AreReadWhereTheyAreComplete) {
  const TempFolder dir;
  EXPECT_ERROR(Usage, "no folder of wrapped MEKs was given", models::read_wrapped({}));
  write(dir / "w", {card("a", 1), card("b", 2)});
  std::filesystem::remove(dir / "w/b/MEK.pub");
  EXPECT_ERROR(Io, "MEK.pub", models::read_wrapped({dir / "w"}));
  const models::WrappedSet left = models::read_index(dir / "w");
  ASSERT_EQ(left.cards.size(), 1U) << "an index serves without those that are gone";
  EXPECT_EQ(left.cards[0].dir, "a");
  std::filesystem::remove(dir / "w/config.json");
  EXPECT_ERROR(Io, "w has no config.json, so it is no folder of wrapped MEKs",
               models::read_wrapped({dir / "w"}));
}

TEST(WrapFiles, TakeTheNameOfNoOtherFile) {
  const TempFolder dir;
  models::refuse_existing(dir.path(), {"a", models::kHere});
  for (const char* name : {"config.json", "a/config.json", "a/MEK.encrypt", "a/MEK.nonce", "MEK.pub"}) {
    std::filesystem::create_directories((dir / name).parent_path());
    write_file(dir / name, view("x"), Existing::Refuse);
    EXPECT_ERROR(Io, std::string(name) + " exists",
                 models::refuse_existing(dir.path(), {"a", models::kHere}));
    std::filesystem::remove(dir / name);
  }
  write_file(dir / "a/other", view("x"), Existing::Refuse);
  models::refuse_existing(dir.path(), {"a"});
}

TEST(WrapFiles, ReplaceAFolderThatHoldsNothingElse) {
  const TempFolder dir;
  for (const Existing existing : {Existing::Refuse, Existing::Replace})
    models::refuse_taken_folder(dir / "w", existing);
  write(dir / "w", {card(models::kHere, 1)});
  EXPECT_ERROR(Io, "w exists", models::refuse_taken_folder(dir / "w", Existing::Refuse));
  models::refuse_taken_folder(dir / "w", Existing::Replace);
  write_file(dir / "w/MEK.pub.old", view("x"), Existing::Refuse);
  EXPECT_ERROR(Io, "MEK.pub.old is in the way", models::refuse_taken_folder(dir / "w", Existing::Replace));
  write_file(dir / "file", view("x"), Existing::Refuse);
  std::filesystem::create_symlink(dir / "nothing", dir / "dangling");
  std::filesystem::remove(dir / "w/MEK.pub.old");
  std::filesystem::remove(dir / "w/MEK.pub");
  std::filesystem::create_directories(dir / "w/MEK.pub/precious");
  EXPECT_ERROR(Io, "MEK.pub is in the way", models::refuse_taken_folder(dir / "w", Existing::Replace));
  std::filesystem::create_symlink(dir / "w", dir / "link");
  for (const std::string name : {"file", "dangling", "link"})
    EXPECT_ERROR(Io, name + " is in the way", models::refuse_taken_folder(dir / name, Existing::Replace));
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
