// A progress bar on a terminal for anything that takes more than a second; nothing elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace qpcseal::cli {

class ProgressBar {
 public:
  enum class Unit { Bytes, Cards };
  explicit ProgressBar(std::string what, Unit unit = Unit::Bytes);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  // Called from one thread, as often as one likes; draws at most ten times a second.
  void update(std::uint64_t done, std::uint64_t total);

 private:
  using Time = std::chrono::steady_clock::time_point;
  std::string what_;
  Unit unit_;
  bool terminal_, drawn_ = false;
  Time start_, last_;
};

}  // namespace qpcseal::cli
