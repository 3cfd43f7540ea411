// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/progress.h"

#include <unistd.h>

#include <array>
#include <cstdio>

#include "base/error.h"
#include "base/print.h"

namespace qpcseal::cli {

using namespace std::chrono_literals;

namespace {
constexpr unsigned kWidth = 30;  // characters
constexpr double kMiB = 1048576.0;

volatile std::sig_atomic_t interrupted = 0;

void interrupt(int signal) { interrupted = signal; }
}  // namespace

ProgressBar::ProgressBar(std::string what, Unit unit)
    : what_(std::move(what)),
      unit_(unit),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      last_(start_),
      signals_({SIGINT, SIGTERM, SIGHUP}, interrupt, static_cast<int>(SA_RESETHAND | SA_RESTART)) {}

ProgressBar::~ProgressBar() {
  if (drawn_) draw_line("");
}

void ProgressBar::update(std::uint64_t done, std::uint64_t total) {
  if (interrupted != 0)
    throw Error(ErrorKind::Interrupted, "interrupted", "run it again; nothing half-done was left");
  if (!terminal_ || total == 0) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - start_ < 1s || now - last_ < 100ms) return;
  last_ = now;
  drawn_ = true;
  const double share = static_cast<double>(done) / static_cast<double>(total);
  const auto filled = static_cast<unsigned>(share * kWidth);
  const double seconds = std::chrono::duration<double>(now - start_).count();
  std::string bar(filled, '#');
  bar.append(kWidth - filled, '.');
  const bool bytes = unit_ == Unit::Bytes;
  std::array<char, 64> rate{};
  std::snprintf(rate.data(), rate.size(), "%3.0f%%  %.0f %s/s", share * 100,
                static_cast<double>(done) / (bytes ? kMiB : 1) / seconds, bytes ? "MiB" : "cards");
  draw_line(what_ + " [" + bar + "] " + rate.data());
}

}  // namespace qpcseal::cli
