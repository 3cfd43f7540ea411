// SPDX-License-Identifier: Apache-2.0
// How long a card may take to load a model, and the two settings of its host's driver that must allow for it.
#pragma once

#include <cstdint>
#include <string>

namespace qpcseal::device {

// The driver's defaults (Linux, Documentation/accel/qaic): seconds that it waits for an answer of the card
// while a model is activated, and milliseconds that it waits on the MHI bus, which it reads when it finds a
// card.
inline constexpr std::uint64_t kControlTimeout = 60, kMhiTimeout = 2000;
// What the vendor's guide sets for large encrypted models.
inline constexpr std::uint64_t kLargeControlTimeout = 2400, kLargeMhiTimeout = 600000;
// Bytes a second that we reckon with. The vendor gives no figure, and calls its first release slow.
inline constexpr std::uint64_t kReckonedRate = std::uint64_t{10} << 20;

struct HostSettings {
  std::uint64_t seconds = 0;  // that a card may need
  std::uint64_t control_resp_timeout_s = kControlTimeout, mhi_timeout_ms = kMhiTimeout;
  bool large = false;  // the defaults are too tight
};

// Large is what takes more than half of the default; then the guide's values, or twice the expected time
// where that is more.
HostSettings settings_for(std::uint64_t sealed_bytes);
// Lines for the operator; empty for a model that is not large.
std::string settings_text(const HostSettings& settings);

}  // namespace qpcseal::device
