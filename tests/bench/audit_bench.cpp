// SPDX-License-Identifier: Apache-2.0
// The log: starting with and without a snapshot, verifying, appending durably. The log's key is one of
// OpenSSL's in this process, so that the figures are the log's and not a token's; on the disk of --folder.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>

#include "appliance/audit/log.h"
#include "tests/audit/host_log.h"
#include "tests/bench/measure.h"

namespace qpcseal {
namespace {

using encoding::Json;
using testing::HostLog;

// What releases leave: a third challenges, a third intents, a third results, of about 500 bytes each.
void fill(HostLog& host, std::uint64_t entries) {
  audit::Log log = host.create();
  const std::string mek(32, '7'), report(64, 'e');
  log.result(log.intent("mek-generate", {{"mek_id", mek}, {"label", "resnet50#1"}, {"generation", 1}}), "ok",
             Json::object());
  constexpr std::uint64_t kBatch = 1000;
  for (std::uint64_t done = 3; done < entries;) {
    std::vector<Json> challenges, intents;
    for (std::uint64_t i = 0; i < kBatch && done + (3 * i) < entries; ++i) {
      challenges.push_back(testing::challenge_data(done + i));
      intents.push_back({{"nonce", challenges.back()["nonce"]},
                         {"mek_id", mek},
                         {"mek", "resnet50#1"},
                         {"report_sha256", report},
                         {"ueid", "0102030405060708"},
                         {"policy", testing::genesis_data()["policy"]}});
    }
    const std::vector<Json> asked = intents;
    done += 3 * challenges.size();
    log.events("challenge", std::move(challenges));
    const auto txns = log.intents("release", std::move(intents));
    log.wrapped(txns, std::vector<Json>(txns.size(), testing::wrapped_data()));
    std::vector<audit::Outcome> outcomes;
    for (std::size_t i = 0; i < txns.size(); ++i)
      outcomes.push_back({txns[i], "ok", testing::release_result(asked[i])});
    log.results(std::move(outcomes));
  }
}

// Seconds a unit takes: the median of the rounds.
double seconds_of(const bench::Row& row, double bench::Cost::* what) {
  std::vector<double> all;
  for (const bench::Cost& cost : row.costs) all.push_back(cost.*what / row.units);
  std::ranges::sort(all);
  return all.at(all.size() / 2);
}

void print_aim(const bench::Row& row, double units, double aim) {
  const double wall = seconds_of(row, &bench::Cost::wall) * units,
               cpu = seconds_of(row, &bench::Cost::cpu) * units;
  std::cout << row.name << ", " << units << ": " << wall << " s, " << cpu << " s of processor time, aim "
            << aim << " s: " << (cpu <= aim ? "reached" : "NOT reached") << "\n";
}

class Desk {
 public:
  Desk(std::filesystem::path folder, std::uint64_t entries) : folder_(std::move(folder)), host_(folder_) {
    fill(host_, entries);
    size_ = static_cast<double>(audit::read_log(folder_, std::nullopt, audit::Check::Proofs).checkpoint.size);
    std::cout << size_ << " entries, " << std::filesystem::file_size(folder_ / "entries.jsonl") / 1000000
              << " MB, snapshot " << std::filesystem::file_size(snapshot()) / 1000 << " kB\n\n";
  }
  ~Desk() { std::filesystem::remove_all(folder_); }
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;

  void run(unsigned rounds) {
    const auto starts = bench::measure({{"start, from the snapshot", 1, [&] { host_.open(); }},
                                        {"start, replaying all", 1, [&] { replay(); }}},
                                       rounds);
    bench::print_table(starts, {"starts", 1});
    const auto checks = bench::measure({{"verify --quick", size_, [&] { verify(audit::Check::Proofs); }},
                                        {"verify", size_, [&] { verify(audit::Check::Everything); }}},
                                       rounds);
    bench::print_table(checks, {"k entries", 1e3});
    const auto appends = bench::measure({{"append, one a checkpoint", kAppends, [&] { append(1); }},
                                         {"append, 100 a checkpoint", kAppends * 100, [&] { append(100); }}},
                                        rounds);
    bench::print_table(appends, {"entries", 1});
    std::cout << "\n";
    print_aim(starts[0], 1, 0.1);
    for (const bench::Row& row : checks) print_aim(row, 1e6, 3);
  }

 private:
  static constexpr double kAppends = 100;
  [[nodiscard]] std::filesystem::path snapshot() const { return folder_ / "snapshot"; }

  void replay() {
    std::filesystem::rename(snapshot(), folder_ / "kept");
    host_.every = UINT64_MAX;
    host_.open();
    host_.every = 1024;
    std::filesystem::rename(folder_ / "kept", snapshot());
  }
  void verify(audit::Check check) const { static_cast<void>(audit::read_log(folder_, std::nullopt, check)); }
  void append(std::size_t batch) {
    if (!log_) log_.emplace(host_.open());
    for (int i = 0; i < static_cast<int>(kAppends); ++i) {
      std::vector<Json> data;
      while (data.size() < batch) data.push_back(testing::challenge_data(1000000000 + next_++));
      log_->events("challenge", std::move(data));
    }
  }

  std::filesystem::path folder_;
  HostLog host_;
  double size_ = 0;
  std::optional<audit::Log> log_;
  std::uint64_t next_ = 0;
};

}  // namespace
}  // namespace qpcseal

int main(int argc, char** argv) {
  std::string folder = std::filesystem::temp_directory_path();
  std::uint64_t entries = 100000;
  const auto options = qpcseal::bench::parse_options(argc, argv, "the audit log", [&](CLI::App& app) {
    app.add_option("--folder", folder, "Where the log is made: on the disk to be measured");
    app.add_option("--entries", entries, "How many entries it has");
  });
  return qpcseal::bench::guarded([&] {
    qpcseal::bench::print_machine();
    qpcseal::Desk(folder + "/qpcseal-bench-" + std::to_string(getpid()), entries).run(options.rounds);
  });
}
