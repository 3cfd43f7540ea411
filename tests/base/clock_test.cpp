// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <gtest/gtest.h>

#include <ctime>

#include "base/random.h"
#include "tests/base/expect_error.h"

namespace qpcseal {
namespace {

TEST(Time, KnownMoments) {
  const std::pair<UnixTime, const char*> moments[] = {
      {0, "1970-01-01T00:00:00Z"},          {1, "1970-01-01T00:00:01Z"},
      {951782400, "2000-02-29T00:00:00Z"},  {1795509000, "2026-11-24T08:30:00Z"},
      {4107542399, "2100-02-28T23:59:59Z"}, {4107542400, "2100-03-01T00:00:00Z"},
      {-1, "1969-12-31T23:59:59Z"},         {253402300799, "9999-12-31T23:59:59Z"}};
  for (const auto& [time, text] : moments) {
    EXPECT_EQ(format_time(time), text);
    EXPECT_EQ(parse_time(text), time);
  }
}

TEST(Time, AgreesWithTheCLibraryOnRandomMoments) {
  SystemRandom random;
  for (int i = 0; i < 2000; ++i) {
    const auto time = static_cast<UnixTime>(load_be(random.bytes(8)) % 253402300800U);
    std::tm parts{};
    const std::time_t moment = time;
    gmtime_r(&moment, &parts);
    char text[40];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    ASSERT_EQ(format_time(time), text);
    ASSERT_EQ(parse_time(text), time);
  }
}

TEST(Time, RefusesEveryOtherForm) {
  for (const char* text : {"",
                           "2026-11-24",
                           "2026-11-24T08:30:00",
                           "2026-11-24T08:30:00z",
                           "2026-11-24 08:30:00Z",
                           "2026-11-24t08:30:00Z",
                           "2026-11-24T08:30:00.0Z",
                           "2026-11-24T08:30:00+00:00",
                           "2026-11-24T08:30Z",
                           " 2026-11-24T08:30:00Z",
                           "2026-11-24T08:30:00Z ",
                           "2026-13-24T08:30:00Z",
                           "2026-00-24T08:30:00Z",
                           "2026-11-31T08:30:00Z",
                           "2026-11-00T08:30:00Z",
                           "2026-02-29T08:30:00Z",
                           "2100-02-29T00:00:00Z",
                           "2026-11-24T24:00:00Z",
                           "2026-11-24T08:60:00Z",
                           "2026-11-24T08:30:60Z",
                           "+026-11-24T08:30:00Z",
                           "2026-1a-24T08:30:00Z",
                           "2026-11-24T-8:30:00Z",
                           "2026/11/24T08:30:00Z"})
    EXPECT_ERROR(Malformed, "not a time", parse_time(text)) << text;
}

TEST(Clock, RunsAndIsNotBeforeTheBuild) {
  const SystemClock clock;
  EXPECT_NEAR(static_cast<double>(clock.now()), static_cast<double>(std::time(nullptr)), 2.0);
  EXPECT_LE(build_time(), clock.now());
  EXPECT_GT(build_time(), parse_time("2025-01-01T00:00:00Z"));
  EXPECT_EQ(software_version(), "0.2.0");
}

TEST(Random, FillsAllOfItAndNeverTheSameTwice) {
  SystemRandom random;
  EXPECT_TRUE(random.bytes(0).empty());
  EXPECT_NE(random.bytes(32), random.bytes(32));
  Bytes seen(64);  // the bits that were ever 1, and with 64 draws all of them are
  for (int round = 0; round < 64; ++round) {
    const Bytes next = random.bytes(64);
    ASSERT_EQ(next.size(), 64U);
    for (std::size_t i = 0; i < next.size(); ++i) seen[i] |= next[i];
  }
  EXPECT_EQ(seen, Bytes(64, 0xff));
}

TEST(ErrorText, ContextIsAddedOnTheWayUpAndTheRestIsKept) {
  try {
    with_context("outer", [] {
      with_context("inner", []() -> int {
        throw Error(ErrorKind::Denied, "no", "ask", {{"POL-X", "a", "b", "c", "d"}});
      });
    });
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "outer: inner: no");
    EXPECT_EQ(error.kind(), ErrorKind::Denied);
    EXPECT_EQ(error.hint(), "ask");
    EXPECT_EQ(error.findings().size(), 1U);
  }
  EXPECT_EQ(with_context("context", [] { return 7; }), 7);
}

}  // namespace
}  // namespace qpcseal
