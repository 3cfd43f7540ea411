// SPDX-License-Identifier: Apache-2.0
// Pictures of times on an HTML page, without script: lines of keys' lives, and counts as columns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace qpcseal::cli {

enum class Mark {
  Made,
  Backup,
  Drilled,
  Replaced,
  Sealed,
  Released,
  Denied,
  Suspended,
  Resumed,
  Exposed,
  Destroyed
};

// One line: marks in order of time. Marks of one kind that come close together stand as one; others that
// would overlap, on a telephone too, stand in lanes below each other.
class TimeLine {
 public:
  // All lines of a picture have the same ends.
  TimeLine(UnixTime first, UnixTime last) : first_(first), last_(last) {}
  void add(Mark mark, UnixTime time);
  // `name` is text.
  [[nodiscard]] std::string line(std::string_view name) const;
  // The times under the lines.
  [[nodiscard]] std::string axis() const;

 private:
  struct Shown {
    Mark mark;
    UnixTime first, last;
    std::size_t count;
    double place;  // percent of the width
    std::size_t lane;
  };
  [[nodiscard]] std::size_t lane_for(double place) const;
  [[nodiscard]] double place_of(UnixTime time) const;

  UnixTime first_, last_;
  std::vector<Shown> shown_;
  std::vector<double> ends_;  // of each lane: the place of its last mark
};

// The style of lines, and what the letters mean.
std::string_view timeline_style();
std::string timeline_legend();

// A time as short as the span allows: "2026-11-24", or with hour and minute where the span is below three
// days.
std::string short_time(UnixTime time, UnixTime span);

}  // namespace qpcseal::cli
