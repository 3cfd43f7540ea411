// SPDX-License-Identifier: Apache-2.0
#include "device/loader/host_settings.h"

#include <algorithm>

namespace qpcseal::device {

HostSettings settings_for(std::uint64_t sealed_bytes) {
  HostSettings out;
  out.seconds = sealed_bytes / kReckonedRate + (sealed_bytes % kReckonedRate == 0 ? 0 : 1);
  out.large = out.seconds > kControlTimeout / 2;
  if (!out.large) return out;
  out.control_resp_timeout_s = std::max(kLargeControlTimeout, 2 * out.seconds);
  out.mhi_timeout_ms = kLargeMhiTimeout;
  return out;
}

std::string settings_text(const HostSettings& settings) {
  if (!settings.large) return {};
  const std::string dir = "/sys/module/qaic/parameters/";
  return "note: a large model: reckon with " + std::to_string(settings.seconds) +
         " s to load it (10 MiB/s; a real card may differ). On its host, as root, before the driver finds "
         "the "
         "card:\n  echo " +
         std::to_string(settings.mhi_timeout_ms) + " > " + dir +
         "mhi_timeout_ms\nand before the load:\n  echo " + std::to_string(settings.control_resp_timeout_s) +
         " > " + dir + "control_resp_timeout_s\n";
}

}  // namespace qpcseal::device
