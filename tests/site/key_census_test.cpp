// SPDX-License-Identifier: Apache-2.0
// The log's keys beside the token's: which ones the token lost.
#include "appliance/site/key_census.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/audit/mek_histories.h"

namespace qpcseal::site {
namespace {

using qpcseal::testing::mek_history;
using qpcseal::testing::state_with;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> labels_of(const std::vector<keys::Mek>& meks) {
  std::vector<std::string> out;
  for (const keys::Mek& mek : meks) out.push_back(mek.label);
  return out;
}

TEST(KeyCensus, MissesTheKeysThatTheTokenDoesNotHave) {
  const audit::State state =
      state_with({mek_history(1, "a#1", 1, "ok"), mek_history(2, "b#1", 1, "suspended")});
  EXPECT_THAT(labels_of(missing_keys({}, state)), ElementsAre("a#1", "b#1"));
  EXPECT_THAT(labels_of(missing_keys({recorded_mek(state.meks.at(Bytes(16, 1)))}, state)),
              ElementsAre("b#1"));
  EXPECT_THAT(missing_keys({}, {}), IsEmpty());
}

TEST(KeyCensus, MissesNoKeyThatNeedNotBeThere) {
  for (const char* state : {"pending", "failed", "unknown", "destroying", "destroyed", ""})
    EXPECT_THAT(missing_keys({}, state_with({mek_history(1, "a#1", 1, state)})), IsEmpty()) << state;
}

TEST(KeyCensus, KnowsAKeyByItsIdNotByItsLabel) {
  const audit::State state = state_with({mek_history(1, "a#1", 1, "ok")});
  EXPECT_THAT(labels_of(missing_keys({recorded_mek(mek_history(2, "a#1", 1, "ok"))}, state)),
              ElementsAre("a#1"));
  EXPECT_THAT(missing_keys({recorded_mek(mek_history(1, "z#9", 9, "ok"))}, state), IsEmpty());
}

TEST(KeyCensus, IsInOrderOfNamesAndGenerations) {
  const audit::State state = state_with({mek_history(1, "b#10", 10, "ok"), mek_history(2, "b#9", 9, "ok"),
                                         mek_history(3, "a#2", 2, "ok"), mek_history(4, "a.b#1", 1, "ok")});
  EXPECT_THAT(labels_of(missing_keys({}, state)), ElementsAre("a#2", "a.b#1", "b#9", "b#10"));
}

TEST(KeyCensus, AKeyOfTheLogHasNoHandle) {
  const keys::Mek mek = recorded_mek(mek_history(0xab, "resnet#3", 3, "ok"));
  EXPECT_EQ(mek.object.handle, CK_INVALID_HANDLE);
  EXPECT_EQ(mek.label, "resnet#3");
  EXPECT_EQ(mek.name, "resnet");
  EXPECT_EQ(mek.generation, 3U);
  EXPECT_EQ(mek.id, Bytes(16, 0xab));
}

TEST(KeyCensus, SaysWhichKeyIsGoneAndWhatBringsItBack) {
  const keys::Mek mek = recorded_mek(mek_history(0xab, "resnet#3", 3, "ok"));
  EXPECT_EQ(missing_text(mek),
            "resnet#3 (id abababababababababababababababab) is in the log and not in the "
            "token: the token lost it");
  EXPECT_THAT(missing_hint(mek), HasSubstr("'qpcseal mek import FILE --name resnet'"));
  EXPECT_THAT(missing_hint(mek), HasSubstr("'qpcseal mek rotate resnet'"));
  EXPECT_THAT(missing_hint(mek), HasSubstr("'qpcseal mek destroy resnet#3'"));
}

}  // namespace
}  // namespace qpcseal::site
