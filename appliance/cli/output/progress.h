// SPDX-License-Identifier: Apache-2.0
// Long work: a progress bar on a terminal for anything that takes more than a second, and an end in good
// order when it is interrupted.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/signals.h"

namespace qpcseal::cli {

class ProgressBar {
 public:
  enum class Unit { Bytes, Cards };
  explicit ProgressBar(std::string what, Unit unit = Unit::Bytes);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  // Called from one thread, as often as one likes; draws at most ten times a second. Error{Interrupted} after
  // SIGINT, SIGTERM or SIGHUP, so that the act is undone; a second signal ends the process at once.
  void update(std::uint64_t done, std::uint64_t total);

 private:
  using Time = std::chrono::steady_clock::time_point;
  std::string what_;
  Unit unit_;
  bool terminal_, drawn_ = false;
  Time start_, last_;
  SignalHandlers signals_;
};

}  // namespace qpcseal::cli
