// SPDX-License-Identifier: Apache-2.0
// Wall-clock time, injected. Times are seconds since 1970-01-01T00:00:00Z.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qpcseal {

using UnixTime = std::int64_t;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual UnixTime now() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] UnixTime now() const override;
};

// "2026-11-24T08:30:00Z" (RFC 3339, UTC, whole seconds) and back. Throws Error{Malformed}.
std::string format_time(UnixTime time);
UnixTime parse_time(std::string_view text);

// A time as above, or a day ("2026-11-24", UTC): its first second, or its last.
enum class OfDay { First, Last };
UnixTime parse_time_or_day(std::string_view text, OfDay which);

// The time of this program's sources, no later clock reading may lie below it.
UnixTime build_time();
// "0.2.0"
std::string_view software_version();

}  // namespace qpcseal
