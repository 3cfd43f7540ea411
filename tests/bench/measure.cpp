// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/measure.h"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/error.h"

namespace qpcseal::bench {

namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

double processor_time() {
  double sum = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    getrusage(who, &usage);
    sum += seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  return sum;
}

Cost cost_of(const std::function<void()>& run) {
  const double cpu = processor_time();
  const auto start = std::chrono::steady_clock::now();
  run();
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  return {wall.count(), processor_time() - cpu};
}

struct Spread {
  double median = 0, low = 0, high = 0;
};

Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {median, values.front(), values.back()};
}

template <typename Value>
Spread spread_over(const Row& row, const Value& value) {
  std::vector<double> values;
  for (const Cost& cost : row.costs) values.push_back(value(cost));
  return spread_of(std::move(values));
}

const Row& row_named(const std::vector<Row>& rows, const std::string& name) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.name == name; });
  if (found == rows.end()) throw Error(ErrorKind::Internal, "no case '" + name + "'");
  return *found;
}

Spread ratio(const Row& a, const Row& b, double Cost::* part) {
  std::vector<double> values;
  for (std::size_t i = 0; i < a.costs.size(); ++i)
    values.push_back((a.units / a.costs[i].*part) / (b.units / b.costs[i].*part));
  return spread_of(std::move(values));
}

std::string first_value(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (line.rfind(key, 0) == 0) return line.substr(std::min(line.find(": ") + 2, line.size()));
  return "unknown";
}

}  // namespace

std::vector<Row> measure(const std::vector<Case>& cases, unsigned rounds) {
  const bool terminal = isatty(STDERR_FILENO) == 1;
  std::vector<Row> rows;
  for (const Case& each : cases) rows.push_back({each.name, each.units, {}});
  for (unsigned round = 0; round <= rounds; ++round) {
    for (std::size_t i = 0; i < cases.size(); ++i) {
      if (terminal) std::fprintf(stderr, "\rround %u of %u: %-40s", round, rounds, cases[i].name.c_str());
      if (cases[i].before) cases[i].before();
      const Cost cost = with_context(cases[i].name, [&] { return cost_of(cases[i].run); });
      if (round > 0) rows[i].costs.push_back(cost);
      if (cases[i].after) cases[i].after();
    }
  }
  if (terminal) std::fprintf(stderr, "\r%-60s\r", "");
  return rows;
}

void print_table(const std::vector<Row>& rows, const Unit& unit) {
  std::printf("%-40s %12s %21s %16s\n", "", (unit.name + "/s").c_str(), "worst .. best",
              (unit.name + "/cpu s").c_str());
  for (const Row& row : rows) {
    const double units = row.units / unit.size;
    const Spread wall = spread_over(row, [&](const Cost& cost) { return units / cost.wall; });
    const Spread cpu = spread_over(row, [&](const Cost& cost) { return units / cost.cpu; });
    std::printf("%-40s %12.4g %10.4g .. %-7.4g %15.4g\n", row.name.c_str(), wall.median, wall.low, wall.high,
                cpu.median);
  }
}

void print_ratio(const std::vector<Row>& rows, const std::string& a, const std::string& b) {
  print_ratio(rows, a, b, 0);
}

void print_ratio(const std::vector<Row>& rows, const std::string& a, const std::string& b, double aim,
                 double Cost::* by) {
  const Row &first = row_named(rows, a), &second = row_named(rows, b);
  const Spread wall = ratio(first, second, &Cost::wall), cpu = ratio(first, second, &Cost::cpu);
  std::printf("%-30s / %-30s %6.2f (%.2f .. %.2f), by processor time %.2f (%.2f .. %.2f)", a.c_str(),
              b.c_str(), wall.median, wall.low, wall.high, cpu.median, cpu.low, cpu.high);
  if (aim > 0)
    std::printf(", aim %.2f by %s: %s", aim, by == &Cost::cpu ? "processor time" : "the clock",
                (by == &Cost::cpu ? cpu : wall).median >= aim ? "reached" : "NOT reached");
  std::printf("\n");
}

void print_machine() {
  utsname name{};
  uname(&name);
  double load[1]{};
  getloadavg(load, 1);
  std::printf("%s, %u cores, Linux %s, load average %.1f at the start\n",
              first_value("/proc/cpuinfo", "model name").c_str(), std::thread::hardware_concurrency(),
              name.release, load[0]);
}

Options parse_options(int argc, char** argv, const std::string& what,
                      const std::function<void(CLI::App&)>& more) {
  CLI::App app{what};
  Options options;
  app.add_option("--rounds", options.rounds, "Rounds that count; one more goes before them")
      ->check(CLI::Range(1U, 1000U))
      ->capture_default_str();
  if (more) more(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return options;
}

int guarded(const std::function<void()>& body) {
  try {
    body();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "\nbenchmark: error: %s\n", error.what());
    return 1;
  }
}

}  // namespace qpcseal::bench
