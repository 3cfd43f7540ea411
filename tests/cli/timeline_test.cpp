// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/timeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace qpcseal::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr UnixTime kBegin = 1800000000;  // 2027-01-15T08:00:00Z
constexpr UnixTime kDayLong = 86400;
constexpr UnixTime kSpan = 920;  // seconds: ten of them are one percent of the width

constexpr Mark kAllMarks[] = {Mark::Made,    Mark::Backup,   Mark::Drilled,  Mark::Replaced,
                              Mark::Sealed,  Mark::Released, Mark::Denied,   Mark::Suspended,
                              Mark::Resumed, Mark::Exposed,  Mark::Destroyed};

struct Placed {
  Mark mark;
  UnixTime after;  // of the begin, in seconds
};

std::string line_of(const std::vector<Placed>& marks, std::string_view name = "net#1") {
  TimeLine line(kBegin, kBegin + kSpan);
  for (const Placed& one : marks) line.add(one.mark, kBegin + one.after);
  return line.line(name);
}

// The marks as they are shown: "M at 4.0%", with their lane where it is not the first.
std::string shown(const std::vector<Placed>& marks) {
  const std::string line = line_of(marks);
  std::string out;
  for (std::size_t at = line.find("<i "); at != std::string::npos; at = line.find("<i ", at + 1)) {
    const std::size_t style = line.find("left:", at) + 5, title = line.find("\" title", at),
                      inner = line.find('>', at) + 1;
    out += (out.empty() ? "" : ", ") + line.substr(inner, line.find("</i>", at) - inner) + " at " +
           line.substr(style, title - style);
  }
  return out;
}

TEST(TimeLine, PutsMarksBetweenItsEnds) {
  EXPECT_EQ(shown({{Mark::Made, 0}, {Mark::Sealed, 460}, {Mark::Destroyed, 920}}),
            "M at 4.0%, E at 50.0%, X at 96.0%");
  TimeLine moment(kBegin, kBegin);
  moment.add(Mark::Made, kBegin);
  EXPECT_THAT(moment.line("a"), HasSubstr("left:4.0%")) << "a line of one moment";
}

TEST(TimeLine, CountsMarksOfOneKindThatStandTogether) {
  EXPECT_EQ(shown({{Mark::Released, 0}, {Mark::Released, 103}}), "R2 at 4.0%");
  EXPECT_EQ(shown({{Mark::Released, 0}, {Mark::Released, 104}}), "R at 4.0%, R at 14.4%");
  EXPECT_EQ(shown({{Mark::Released, 0}, {Mark::Released, 60}, {Mark::Released, 120}}),
            "R2 at 4.0%, R at 16.0%")
      << "by the first of them: else a busy key's line would be one mark";
  EXPECT_EQ(shown({{Mark::Released, 0}, {Mark::Denied, 10}, {Mark::Released, 20}}),
            "R2 at 4.0%, D at 5.0%;top:1.50rem")
      << "also where another kind stands between";
}

TEST(TimeLine, SaysFromWhenToWhenAndHowMany) {
  EXPECT_THAT(
      line_of({{Mark::Released, 0}, {Mark::Released, 60}}),
      HasSubstr("title=\"released to a card 2027-01-15T08:00:00Z to 2027-01-15T08:01:00Z, 2 times\""));
  EXPECT_THAT(line_of({{Mark::Made, 60}}), HasSubstr("title=\"made 2027-01-15T08:01:00Z\""));
}

TEST(TimeLine, ShowsNumbersUpTo99) {
  EXPECT_EQ(shown(std::vector<Placed>(99, {Mark::Denied, 0})), "D99 at 4.0%");
  EXPECT_EQ(shown(std::vector<Placed>(100, {Mark::Denied, 0})), "D+ at 4.0%");
  EXPECT_THAT(line_of(std::vector<Placed>(100, {Mark::Denied, 0})), HasSubstr(", 100 times\""));
}

TEST(TimeLine, PutsKindsThatWouldOverlapBelowEachOther) {
  EXPECT_EQ(shown({{Mark::Made, 0}, {Mark::Sealed, 83}}), "M at 4.0%, E at 12.3%;top:1.50rem");
  EXPECT_EQ(shown({{Mark::Made, 0}, {Mark::Sealed, 85}}), "M at 4.0%, E at 12.5%");
  EXPECT_EQ(shown({{Mark::Made, 0}, {Mark::Sealed, 10}, {Mark::Destroyed, 90}}),
            "M at 4.0%, E at 5.0%;top:1.50rem, X at 13.0%")
      << "the first lane that has room again";
  EXPECT_THAT(line_of({{Mark::Made, 0}, {Mark::Sealed, 200}}), Not(HasSubstr("height")));
  EXPECT_THAT(line_of({{Mark::Made, 0}, {Mark::Sealed, 10}}), HasSubstr("style=\"height:2.95rem\""));
}

TEST(TimeLine, HasRoomForAllKindsAtOnce) {
  std::vector<Placed> all;
  for (const Mark mark : kAllMarks) all.push_back({mark, 0});
  const std::string line = line_of(all);
  EXPECT_THAT(line, HasSubstr("class=\"track\" style=\"height:16.00rem\""));
  EXPECT_THAT(line, HasSubstr("top:14.55rem"));
}

TEST(TimeLine, HasItsNameAsText) {
  EXPECT_THAT(line_of({}, "<b>\"a\""), HasSubstr("<b>&lt;b&gt;&quot;a&quot;</b>"));
}

TEST(TimeLine, HasFourTimesOnItsAxis) {
  EXPECT_EQ(TimeLine(kBegin, kBegin + (9 * kDayLong)).axis(),
            "<div class=\"axis\"><span>2027-01-15</span><span>2027-01-18</span><span>2027-01-21</span>"
            "<span>2027-01-24</span></div>\n");
}

TEST(TimeLine, ExplainsEachLetterOnce) {
  const std::string legend = timeline_legend();
  std::set<std::string> letters;
  for (const Mark mark : kAllMarks) {
    const std::string letter = shown({{mark, 0}}).substr(0, 1);
    letters.insert(letter);
    EXPECT_THAT(legend, HasSubstr("<b>" + letter + "</b> "));
  }
  EXPECT_EQ(letters.size(), std::size(kAllMarks));
}

TEST(ShortTime, HasHourAndMinuteBelowThreeDays) {
  EXPECT_EQ(short_time(kBegin, 3 * kDayLong), "2027-01-15");
  EXPECT_EQ(short_time(kBegin, (3 * kDayLong) - 1), "2027-01-15 08:00");
}

}  // namespace
}  // namespace qpcseal::cli
