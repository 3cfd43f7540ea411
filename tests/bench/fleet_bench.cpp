// SPDX-License-Identifier: Apache-2.0
// A release to a fleet, by the appliance's own steps in batches as `wrap-mek --skip-denied` takes them, each
// step timed; beside the wraps the bare calls that the token must serve for them, through as many sessions,
// batch after batch. Then the whole command over another trip, its memory, and its rate beside that of what
// it cannot avoid: the bare signature checks, the bare calls of the token, and two durable writes a batch.
#include <chrono>
#include <cstdio>
#include <fstream>

#include "appliance/models/wrap_fleet.h"
#include "appliance/release/candidate.h"
#include "appliance/release/consumption.h"
#include "appliance/release/grant.h"
#include "appliance/site/pending_wraps.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/random.h"
#include "tests/bench/bare_verify.h"
#include "tests/bench/bare_wrap.h"
#include "tests/bench/measure.h"
#include "tests/bench/process.h"

namespace qpcseal::bench {

namespace {

using release::ReleaseItem;

constexpr std::size_t kCardsAHost = 1000;

double seconds_of(const std::function<void()>& act) {
  const auto start = std::chrono::steady_clock::now();
  act();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// A home with one key, and reports of all cards for each trip.
class Desk {
 public:
  Desk(const Workspace& work, std::size_t cards) : work_(work), cards_(cards) {
    std::filesystem::create_directory(work.file("trust"));
    run_process({FLEET_CARDS, "make", std::to_string(cards), work.file("")});
    std::filesystem::copy(work.file("root.pem"), work.file("trust"));
    setenv("QPCSEAL_HOME", work.file("home").c_str(), 1);  // NOLINT(concurrency-mt-unsafe): no threads yet
    run_process({QPCSEAL, "init", "--embedded", "--insecure-demo", "--appliance-id", "bench", "--policy",
                 work.file("policy.toml"), "--trust", work.file("trust")});
    run_process({QPCSEAL, "mek", "generate", "m"});
  }

  [[nodiscard]] std::string trip(const std::string& name) const {
    const std::string folder = work_.file(name);
    const std::size_t hosts = (cards_ + kCardsAHost - 1) / kCardsAHost, each = cards_ / hosts;
    Command request{
        QPCSEAL, "attest", "request", "--mek", "m", "-o", folder, "--device", "0-" + std::to_string(each - 1),
        "--host"};
    for (std::size_t i = 0; i < hosts; ++i) request.push_back("node" + std::to_string(i));
    run_process(request);
    run_process({FLEET_CARDS, "answer", work_.file(""), folder});
    return folder;
  }

  [[nodiscard]] Command command(const std::string& trip) const {
    return {QPCSEAL,        "wrap-mek",        "--mek",        "m", "--pub-keys", trip,
            "--output-dir", trip + "/wrapped", "--skip-denied"};
  }
  [[nodiscard]] site::Home home() const { return {work_.file("home")}; }

 private:
  const Workspace& work_;
  std::size_t cards_;
};

struct Steps {
  double verify = 0, intents = 0, judge = 0, wrap = 0, bare = 0, wrapped = 0, results = 0;
};

void bare_wraps(site::Appliance& appliance, const keys::Mek& mek, const std::vector<ReleaseItem*>& all) {
  const auto worker = [&]() -> Work {
    const auto session =
        std::make_shared<pkcs11::Session>(appliance.module(), appliance.token(), pkcs11::Access::ReadOnly);
    return [&, session](std::uint64_t i) {
      bare_wrap(*session, mek, all[i]->verdict->suite.value(), release::session_peer(all[i]->claims()));
    };
  };
  run_parallel(default_threads(), all.size(), worker, {});
}

void log_wrapped(site::Appliance& appliance, const keys::Mek& mek, const std::vector<ReleaseItem*>& all,
                 const std::vector<release::Grant>& grants) {
  std::vector<audit::Txn> txns;
  std::vector<encoding::Json> data;
  for (std::size_t i = 0; i < all.size(); ++i) {
    txns.push_back(all[i]->txn);
    data.push_back(release::wrapped_data(mek, *all[i], grants[i]));
  }
  appliance.log().wrapped(txns, std::move(data));
}

void run_batch(site::Appliance& appliance, const keys::Mek& mek, const release::ReleaseApproval& approval,
               const std::vector<release::Report>& reports, Steps& steps) {
  std::vector<ReleaseItem> candidates;
  steps.verify += seconds_of([&] { candidates = release::verify_all(appliance, reports); });
  std::vector<ReleaseItem*> all;
  for (ReleaseItem& c : candidates) all.push_back(&c);
  steps.intents += seconds_of([&] { release::consume(appliance, mek, approval, all); });
  steps.judge +=
      seconds_of([&] { release::decide(appliance, mek, release::Count::Each, policy::kOwnFormat, all); });
  for (const ReleaseItem* c : all)
    if (!c->allowed()) throw Error(ErrorKind::Internal, "denied: " + c->findings().front().id);
  std::vector<release::Grant> grants;
  const site::PendingWraps pending(appliance.home(), appliance.log().state());
  steps.wrap += seconds_of([&] { grants = release::wrap_all(appliance, mek, all, pending); });
  steps.bare += seconds_of([&] { bare_wraps(appliance, mek, all); });
  steps.wrapped += seconds_of([&] { log_wrapped(appliance, mek, all, grants); });
  steps.results += seconds_of([&] {
    std::vector<audit::Outcome> outcomes;
    for (std::size_t i = 0; i < all.size(); ++i)
      outcomes.push_back(release::granted_outcome(appliance, mek, *all[i], grants[i], {{"bench", true}}));
    appliance.log().results(std::move(outcomes));
  });
}

Steps run_steps(const Desk& desk, const std::string& trip, std::size_t cards) {
  const SystemClock clock;
  SystemRandom random;
  site::Appliance appliance({desk.home(), clock, random, std::nullopt});
  const keys::Mek mek = appliance.find_mek("m");
  std::vector<release::Report> reports;
  for (const auto& item : std::filesystem::directory_iterator(trip))
    if (item.path().extension() == ".report") reports.push_back(release::read_report(item.path()));
  if (reports.size() != cards) throw Error(ErrorKind::Usage, "--cards: above 1000, a multiple of 1000");
  const release::ReleaseApproval approval(appliance, mek, {});
  Steps steps;
  for (std::size_t at = 0; at < cards; at += models::kFleetBatch) {
    const auto begin = reports.begin() + static_cast<std::ptrdiff_t>(at);
    const auto end = reports.begin() + static_cast<std::ptrdiff_t>(std::min(at + models::kFleetBatch, cards));
    run_batch(appliance, mek, approval, {begin, end}, steps);
  }
  return steps;
}

// The signatures of all reports, on all threads.
void bare_signatures(std::size_t cards) {
  const BareVerify bare;
  const auto worker = [&]() -> Work { return [&](std::uint64_t) { bare.reports(1); }; };
  run_parallel(default_threads(), cards, worker, {});
}

// What the log must have on disk before the first key of a batch leaves and before its result is told: a
// file of so many entries, written at once and synced, two for each batch.
void durable_batches(const Workspace& work, std::size_t cards) {
  constexpr std::size_t kEntrySize = 500;  // bytes, less than one has
  for (std::size_t at = 0; at < cards; at += models::kFleetBatch)
    for (const std::string name : {"intents", "results"})
      write_file(work.file(name + std::to_string(at)),
                 Bytes(kEntrySize * std::min(models::kFleetBatch, cards - at)), Existing::Refuse);
}

void print_step(const char* name, double seconds, std::size_t cards) {
  std::printf("  %-28s %8.2f s %10.0f a second\n", name, seconds, static_cast<double>(cards) / seconds);
}

void run(std::size_t cards) {
  print_machine();
  const Workspace work;
  const Desk desk(work, cards);
  const Steps steps = run_steps(desk, desk.trip("first"), cards);
  std::printf("\n%zu cards, batches of %zu, %u sessions:\n", cards, models::kFleetBatch, default_threads());
  print_step("verify", steps.verify, cards);
  print_step("keep reports, log intents", steps.intents, cards);
  print_step("judge", steps.judge, cards);
  print_step("wrap", steps.wrap, cards);
  print_step("  the bare calls", steps.bare, cards);
  print_step("log the wrapped keys", steps.wrapped, cards);
  print_step("log results", steps.results, cards);
  std::printf("  wrap / bare: %.2f of the rate (aim 0.70)\n", steps.bare / steps.wrap);
  const std::string second = desk.trip("second");
  double memory = 0;
  const double whole = seconds_of([&] { memory = peak_memory(desk.command(second)); });
  print_step("the whole command", whole, cards);
  const double signatures = seconds_of([&] { bare_signatures(cards); });
  const double batches = seconds_of([&] { durable_batches(work, cards); });
  print_step("  bare signature checks", signatures, cards);
  print_step("  two durable writes a batch", batches, cards);
  std::printf("  whole / what it cannot avoid: %.2f of the rate (aim 0.85)\n",
              (signatures + steps.bare + batches) / whole);
  std::printf("  its memory: %.0f MiB at most (aim below 256)\n", memory);
}

}  // namespace

}  // namespace qpcseal::bench

int main(int argc, char** argv) {
  std::size_t cards = 10000;
  qpcseal::bench::parse_options(argc, argv, "Releases to a fleet", [&](CLI::App& app) {
    app.add_option("--cards", cards, "How many")->capture_default_str()->check(CLI::Range(1, 20000));
  });
  return qpcseal::bench::guarded([&] { qpcseal::bench::run(cards); });
}
