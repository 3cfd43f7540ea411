// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <charconv>
#include <chrono>
#include <cstdio>

#include "base/error.h"

namespace qpcseal {

namespace {

int number(std::string_view text, std::size_t at, std::size_t width) {
  int value = 0;
  for (std::size_t i = at; i < at + width; ++i) {
    if (text[i] < '0' || text[i] > '9') throw Error(ErrorKind::Malformed, "not a time: " + std::string(text));
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

}  // namespace

UnixTime SystemClock::now() const {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string format_time(UnixTime time) {
  using namespace std::chrono;
  const sys_seconds moment{seconds{time}};
  const auto day = floor<days>(moment);
  const year_month_day date{day};
  const hh_mm_ss clock{moment - day};
  char out[40];
  std::snprintf(out, sizeof out, "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return out;
}

UnixTime parse_time(std::string_view text) {
  using namespace std::chrono;
  const auto fail = [&] {
    return Error(ErrorKind::Malformed, "not a time like 2026-11-24T08:30:00Z: " + std::string(text));
  };
  if (text.size() != 20 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
      text[16] != ':' || text[19] != 'Z')
    throw fail();
  const year_month_day date{year{number(text, 0, 4)}, month{static_cast<unsigned>(number(text, 5, 2))},
                            day{static_cast<unsigned>(number(text, 8, 2))}};
  const UnixTime hour = number(text, 11, 2), minute = number(text, 14, 2), second = number(text, 17, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) throw fail();
  return sys_days{date}.time_since_epoch().count() * UnixTime{86400} + hour * 3600 + minute * 60 + second;
}

UnixTime parse_time_or_day(std::string_view text, OfDay which) {
  constexpr std::size_t kDay = 10;  // characters
  if (text.size() == kDay)
    return parse_time(std::string(text) + (which == OfDay::First ? "T00:00:00Z" : "T23:59:59Z"));
  return parse_time(text);
}

UnixTime build_time() { return QPCSEAL_BUILD_TIME; }

std::string_view software_version() { return QPCSEAL_VERSION; }

}  // namespace qpcseal
