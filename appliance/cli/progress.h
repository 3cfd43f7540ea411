// A progress bar on a terminal for anything that takes more than a second; nothing elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace qpcseal::cli {

class ProgressBar {
 public:
  explicit ProgressBar(std::string what);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  // Called from one thread, as often as one likes; draws at most ten times a second.
  void update(std::uint64_t done, std::uint64_t total);

 private:
  using Time = std::chrono::steady_clock::time_point;
  std::string what_;
  bool terminal_, drawn_ = false;
  Time start_, last_;
};

}  // namespace qpcseal::cli
