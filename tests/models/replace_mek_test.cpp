// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/replace_mek.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/models/model_files.h"
#include "tests/rewrap/wrapped_cards.h"

namespace qpcseal::models {
namespace {

namespace fs = std::filesystem;
using qpcseal::testing::content;
using qpcseal::testing::put;
using qpcseal::testing::qpc_of_two;
using qpcseal::testing::usual_qpc;
using ::testing::ElementsAre;

class ReplaceMek : public qpcseal::testing::Models {
 protected:
  fs::path in = folder / "in", out = folder / "out";

  fs::path place(const Bytes& qpc, const std::string& name) {
    const fs::path made = sealed(qpc, "for-" + fs::path(name).filename().string());
    fs::create_directories((in / name).parent_path());
    fs::rename(made, in / name);
    return in / name;
  }
  [[nodiscard]] WrappedFor card(const std::string& dir, std::uint8_t number) const {
    return testing::wrapped_card(mek.id, dir, number);
  }
  // The folder of this card's wrapped MEK.
  [[nodiscard]] fs::path wrapped(const std::string& dir, std::uint8_t number) const {
    testing::write_wrapped_cards(folder / dir, mek, {card(kHere, number)});
    return folder / dir;
  }
  static std::string ueid(std::uint8_t number) { return to_hex(Bytes(17, number)); }
  // The cards that the parts of a container are bound to, by their numbers.
  static std::vector<unsigned> bound_to(const fs::path& path) {
    std::vector<unsigned> numbers;
    const SealedInput input = open_sealed(path, "elsewhere");
    for (const auto* node : input.files.at(0).tree.loads())
      numbers.push_back(node->slots() ? node->slots()->nonce.front() : 0U);
    return numbers;
  }
  [[nodiscard]] ReplaceMekOptions options(std::vector<fs::path> cards, const fs::path& output) const {
    return {in, std::move(cards), output, Existing::Refuse};
  }
  // The log with releases of the cards 1 and 2.
  [[nodiscard]] KnownReleases known() const {
    audit::State state = appliance.log().state();
    for (std::uint8_t number = 1; number <= 2; ++number) {
      const WrappedFor one = card(kHere, number);
      state.releases[sha256_hex(text_view(one.slots.encrypt))] = {number, mek.id, one.ueid, one.slots.nonce,
                                                                  sha256_hex(text_view(one.slots.pub))};
    }
    return {std::move(state), appliance.policy(), {}};
  }
};

TEST_F(ReplaceMek, BindsEachContainerInPlace) {
  place(usual_qpc(), "a.qpc");
  place(usual_qpc(), "x/b.qpc");
  const ReplaceResult done = replace_meks(options({wrapped("card", 1)}, ""), std::nullopt);
  ASSERT_EQ(done.outputs.size(), 2U);
  EXPECT_EQ(done.outputs[0].output, in / "a.qpc");
  EXPECT_THAT(done.outputs[1].cards, ElementsAre(ueid(1)));
  EXPECT_THAT(bound_to(in / "a.qpc"), ElementsAre(1U));
  EXPECT_THAT(bound_to(in / "x/b.qpc"), ElementsAre(1U));
  EXPECT_FALSE(done.log_checked) << "no log was given";
}

TEST_F(ReplaceMek, TakesTheOldBindingsPlace) {
  const fs::path one = place(usual_qpc(), "a.qpc");
  replace_meks(options({wrapped("first", 1)}, ""), std::nullopt);
  replace_meks(options({wrapped("second", 2)}, ""), std::nullopt);
  EXPECT_THAT(bound_to(one), ElementsAre(2U));
}

TEST_F(ReplaceMek, WritesContainersIntoTheOutputFolder) {
  place(usual_qpc(), "x/a.qpc");
  const ReplaceResult done = replace_meks(options({wrapped("card", 1)}, out), std::nullopt);
  ASSERT_EQ(done.outputs.size(), 1U);
  EXPECT_EQ(done.outputs[0].output, out / "x/a.qpc");
  EXPECT_THAT(bound_to(out / "x/a.qpc"), ElementsAre(1U));
  EXPECT_THAT(bound_to(in / "x/a.qpc"), ElementsAre(0U)) << "the input stays as it is";
}

TEST_F(ReplaceMek, BindsPartitionsToTheCardsInTheirOrder) {
  place(qpc_of_two(), "a.qpc");
  const ReplaceResult done = replace_meks(options({wrapped("b", 2), wrapped("a", 1)}, out), std::nullopt);
  EXPECT_THAT(done.outputs.at(0).cards, ElementsAre(ueid(2), ueid(1)));
  EXPECT_THAT(bound_to(out / "a.qpc"), ElementsAre(2U, 1U));
}

TEST_F(ReplaceMek, GivesEachCardAFolderWithItsContainers) {
  place(usual_qpc(), "a.qpc");
  place(usual_qpc(), "x/b.qpc");
  const ReplaceResult done = replace_meks(options({wrapped("c1", 1), wrapped("c2", 2)}, out), std::nullopt);
  EXPECT_EQ(done.outputs.size(), 4U);
  EXPECT_THAT(done.outputs.back().cards, ElementsAre(ueid(2)));
  EXPECT_THAT(bound_to(out / "c1/a.qpc"), ElementsAre(1U));
  EXPECT_THAT(bound_to(out / "c1/x/b.qpc"), ElementsAre(1U));
  EXPECT_THAT(bound_to(out / "c2/x/b.qpc"), ElementsAre(2U));
}

TEST_F(ReplaceMek, TakesTheRestOfASetAlong) {
  put(folder / "served/m.qpc", usual_qpc());
  put(folder / "served/tokens.txt", "tokens");
  in = seal_set(appliance, mek, {{folder / "served"}, options_for({}, "whole"), false}, {}).output;
  replace_meks(options({wrapped("c1", 1), wrapped("c2", 2)}, out), std::nullopt);
  for (const char* dir : {"c1", "c2"}) {
    const SealedInput bound = open_sealed(out / dir, "elsewhere");
    ASSERT_TRUE(bound.set) << dir;
    EXPECT_TRUE(bound.files.at(0).bound());
    EXPECT_EQ(content(out / dir / "tokens.txt"), copy(view("tokens")));
  }
}

TEST_F(ReplaceMek, RefusesAWrappedMekThatIsGivenTwice) {
  place(qpc_of_two(), "a.qpc");
  EXPECT_ERROR(Usage, "the wrapped MEK for card " + ueid(1) + " is given twice",
               replace_meks(options({wrapped("c1", 1), wrapped("c2", 1)}, out), std::nullopt));
}

TEST_F(ReplaceMek, RefusesTwoFoldersOfOneName) {
  place(usual_qpc(), "a.qpc");
  EXPECT_ERROR(Usage, "two folders of wrapped MEKs are named 'card'",
               replace_meks(options({wrapped("x/card", 1), wrapped("y/card", 2)}, out), std::nullopt));
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(ReplaceMek, RefusesAContainerOfAnotherMek) {
  const keys::Mek other = mek::generate(appliance, "of-another");
  const auto path = put(folder / "other.qpc", usual_qpc());
  fs::create_directory(in);
  fs::rename(seal_model(appliance, other, options_for(path, "other"), {}).output, in / "other.qpc");
  EXPECT_ERROR(Denied, "other.qpc is sealed under MEK id " + to_hex(other.id) + ", not common#1",
               replace_meks(options({wrapped("card", 1)}, ""), std::nullopt));
  EXPECT_THAT(bound_to(in / "other.qpc"), ElementsAre(0U));
}

TEST_F(ReplaceMek, RefusesAnotherNumberOfCardsThanParts) {
  place(qpc_of_two(), "two.qpc");
  place(usual_qpc(), "whole.qpc");
  EXPECT_ERROR(Usage, "whole.qpc: the container has 1 part, and there are 2 wrapped MEKs",
               replace_meks(options({wrapped("c1", 1), wrapped("c2", 2)}, out), std::nullopt));
  EXPECT_FALSE(fs::exists(out)) << "the container that fits is not written either";
}

TEST_F(ReplaceMek, LetsAllOutputsAppearOrNone) {
  place(usual_qpc(), "a.qpc");
  place(usual_qpc(), "b.qpc");
  put(out / "b.qpc", "another's");
  EXPECT_ERROR(Io, (out / "b.qpc").string() + " exists",
               replace_meks(options({wrapped("card", 1)}, out), std::nullopt));
  EXPECT_FALSE(fs::exists(out / "a.qpc"));
  EXPECT_EQ(content(out / "b.qpc"), copy(view("another's")));
  ReplaceMekOptions forced = options({folder / "card"}, out);
  forced.existing = Existing::Replace;
  replace_meks(forced, std::nullopt);
  EXPECT_THAT(bound_to(out / "b.qpc"), ElementsAre(1U));
}

TEST_F(ReplaceMek, HoldsWrappedMeksAgainstTheLog) {
  place(usual_qpc(), "a.qpc");
  EXPECT_ERROR(Denied, "card: no release in this appliance's log made this wrapped MEK",
               replace_meks(options({wrapped("card", 3)}, ""), known()));
  EXPECT_THAT(bound_to(in / "a.qpc"), ElementsAre(0U));
  EXPECT_TRUE(replace_meks(options({wrapped("logged", 1)}, ""), known()).log_checked);
  EXPECT_THAT(bound_to(in / "a.qpc"), ElementsAre(1U));
}

TEST_F(ReplaceMek, HoldsContainersAgainstTheLog) {
  const KnownReleases before = known();
  place(usual_qpc(), "a.qpc");
  EXPECT_ERROR(Denied, "a.qpc is not sealed by this appliance",
               replace_meks(options({wrapped("card", 1)}, ""), before));
  EXPECT_THAT(bound_to(in / "a.qpc"), ElementsAre(0U));
}

}  // namespace
}  // namespace qpcseal::models
