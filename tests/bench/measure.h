// SPDX-License-Identifier: Apache-2.0
// Measuring for benchmarks: cases run in turn, round after round, so that what else the machine does meets
// all of them alike; then medians and spreads, as a table and as ratios.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace qpcseal::bench {

struct Cost {
  double wall = 0;
  double cpu = 0;  // user and system time, of this process and of the children it has waited for
};  // seconds

struct Case {
  std::string name;
  double units = 0;                   // done by one run: bytes, reports, wraps, ...
  std::function<void()> run;          // timed
  std::function<void()> after = {};   // not timed: cleans up for the next run
  std::function<void()> before = {};  // not timed
};

struct Row {
  std::string name;
  double units = 0;
  std::vector<Cost> costs;  // one a round
};

// All cases once untimed, then `rounds` times.
std::vector<Row> measure(const std::vector<Case>& cases, unsigned rounds);

// How rates are shown: {"GB", 1e9} for bytes, {"reports", 1} for reports.
struct Unit {
  std::string name;
  double size = 1;
};
// For each row: units a second by the clock (median, worst and best round), and a second of processor time.
void print_table(const std::vector<Row>& rows, const Unit& unit);
// Rate of row `a` as a multiple of that of row `b`: the median, worst and best of the rounds' ratios, by
// clock and by processor time.
void print_ratio(const std::vector<Row>& rows, const std::string& a, const std::string& b);
// The same, and whether the median by `by` reaches `aim`.
void print_ratio(const std::vector<Row>& rows, const std::string& a, const std::string& b, double aim,
                 double Cost::* by = &Cost::wall);

// Processor, cores, kernel and load: figures mean little without.
void print_machine();

// Options of all benchmarks: --rounds and those that `more` adds. Exits on --help and on errors.
struct Options {
  unsigned rounds = 5;
};
Options parse_options(int argc, char** argv, const std::string& what,
                      const std::function<void(CLI::App&)>& more = {});

// Runs a benchmark's main; says what went wrong.
int guarded(const std::function<void()>& body);

}  // namespace qpcseal::bench
