// SPDX-License-Identifier: Apache-2.0
#include "appliance/verdict/replay.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "appliance/release/verdict.h"
#include "appliance/release/verdict_record.h"
#include "appliance/site/appliance.h"
#include "appliance/site/archive.h"
#include "base/parallel.h"

namespace qpcseal::release {

namespace {

using audit::Entry;
using audit::Json;

struct Task {
  std::filesystem::path path;
  std::string digest;                    // of the report, hex
  std::optional<std::uint64_t> verdict;  // the last; nothing: a release that was cut short
};

// What a report was judged with.
struct Then {
  std::string trust;  // its digest, hex; empty: the material in force
  attest::CrlNumbers crl_floors;
  UnixTime verified_at = 0;
  std::optional<Bytes> mek_id;
  std::optional<Recalled> recalled;  // nothing: it was not judged, for it did not verify

  [[nodiscard]] bool verified_like(const Then& other) const {
    return trust == other.trust && crl_floors == other.crl_floors && verified_at == other.verified_at;
  }
};

struct Answer {
  bool allowed = false;
  Findings why;
  std::string ueid;
};

std::vector<Task> archived(const Home& home) {
  std::vector<Task> out;
  std::error_code failed;
  for (const auto& item : std::filesystem::directory_iterator(home.reports(), failed))
    if (item.path().extension() == ".report") out.push_back({item.path(), {}, {}});
  std::ranges::sort(out, {}, &Task::path);
  for (Task& task : out) task.digest = to_hex(read_report(task.path).digest);
  return out;
}

// The last verdict on each of the reports.
std::map<std::string, std::uint64_t> verdicts_on(const audit::LogCopy& log, const std::vector<Task>& tasks) {
  std::set<std::string_view> wanted;
  for (const Task& task : tasks) wanted.insert(task.digest);
  std::map<std::string, std::uint64_t> out;
  std::map<std::uint64_t, std::string> begun;  // reports of intents without a result
  log.each([&](std::uint64_t seq, std::string_view line) {
    const std::string_view kind = audit::scan_entry(line).kind;
    if (kind != "release" && kind != "denied") return;
    const Entry entry = audit::parse_entry(line);
    std::string report;
    if (entry.phase == audit::Phase::Result) {
      if (auto intent = begun.extract(entry.intent.value())) report = std::move(intent.mapped());
    } else if (entry.phase == audit::Phase::Intent || is_verdict(entry)) {
      report = audit::text_member(entry.data, "report_sha256");
    }
    if (entry.phase == audit::Phase::Intent) begun.emplace(seq, report);
    if (is_verdict(entry) && wanted.contains(report)) out[report] = seq;
  });
  return out;
}

// What the log and the home say of the past. Several threads may use one.
class Past {
 public:
  Past(const Home& home, const audit::LogCopy& log)
      : home_(home), log_(log), genesis_(audit::parse_entry(log.line(0))) {}

  [[nodiscard]] Then of(const Task& task) const {
    if (!task.verdict) return {"", {}, log_.state.last_time, std::nullopt, std::nullopt};
    const Entry verdict = audit::parse_entry(log_.line(*task.verdict));
    const Json& judged = audit::member(verdict.data, "judged");
    // Report and key stand in the release's intent, or in the event of a report that does not verify.
    const Json facts =
        is_unverified(verdict) ? verdict.data : audit::parse_entry(log_.line(verdict.intent.value())).data;
    Then out{audit::text_member(judged, "trust"), crl_floors_of(judged), time_of(judged),
             from_hex(audit::text_member(facts, "mek_id")), std::nullopt};
    if (!is_unverified(verdict)) out.recalled = recalled(judged, facts);
    return out;
  }

  // Parsed once for all that were verified with it.
  [[nodiscard]] Trust trust_of(const Then& then) const {
    const std::scoped_lock lock(reading_);
    const auto known = trusts_.find(then.trust);
    Trust out = known != trusts_.end() ? known->second
                : then.trust.empty()   ? read_pinned_trust(home_, log_.state)
                                       : parse_trust(kept_trust(home_, then.trust));
    if (known == trusts_.end()) trusts_.emplace(then.trust, out);
    if (!then.trust.empty()) out.crl_floors = then.crl_floors;
    return out;
  }

  [[nodiscard]] Answer ask(const policy::Policy& policy, const Then& then, const Report& report,
                           const Verified& verified) const {
    if (!verified.evidence.claims) return {false, verified.evidence.findings, ""};
    const audit::State& state = then.recalled ? then.recalled->state : log_.state;
    Question question{policy, state, then.verified_at, {}, then.mek_id, 1};
    if (then.recalled) {
      question.now = then.recalled->now;
      question.suites = then.recalled->suites;
      question.releases_wanted = then.recalled->wanted;
    }
    policy::ChallengeFacts challenge = challenge_facts(state, verified.evidence.claims->nonce, report);
    if (!then.recalled) challenge.consumed = false;
    const Verdict verdict = judge(question, challenge, verified);
    return {verdict.decision.allowed(), verdict.decision.findings(), to_hex(verified.evidence.claims->ueid)};
  }

 private:
  [[nodiscard]] Recalled recalled(const Json& judged, const Json& intent) const {
    const auto found = log_.state.challenges.find(from_hex(audit::text_member(intent, "nonce")));
    if (found == log_.state.challenges.end()) return recall(judged, genesis_, nullptr, intent);
    const audit::Challenge& known = found->second;
    Entry challenge;  // what the log says of it
    challenge.time = known.made;
    challenge.data = {{"nonce", to_hex(known.nonce)},
                      {"mek_id", to_hex(known.mek_id)},
                      {"ueid", known.ueid ? Json(to_hex(*known.ueid)) : Json(nullptr)},
                      {"expires", static_cast<std::uint64_t>(known.expires)}};
    return recall(judged, genesis_, &challenge, intent);
  }

  const Home& home_;
  const audit::LogCopy& log_;
  Entry genesis_;
  mutable std::mutex reading_;
  mutable std::map<std::string, Trust> trusts_;  // by digest
};

// One thread's work. Reports that were verified together come one after another, and share a verifier; where
// both policies verify alike, each report is verified once.
class Replayer {
 public:
  Replayer(const Past& past, const policy::Policy& before, const policy::Policy& after)
      : past_(past), before_(before), after_(after), alike_(verify_alike(before, after)) {}

  Replayed operator()(const Task& task) {
    const Report report = read_report(task.path);
    Then then = past_.of(task);
    if (!last_ || !last_->verified_like(then)) {
      const Trust trust = past_.trust_of(then);
      old_.emplace(before_, trust, then.verified_at);
      if (!alike_) new_.emplace(after_, trust, then.verified_at);
    }
    const Verified verified = old_->verify(report);
    const Answer was = past_.ask(before_, then, report, verified);
    const Answer is = past_.ask(after_, then, report, alike_ ? verified : new_->verify(report));
    last_ = std::move(then);
    return {task.digest, was.ueid.empty() ? is.ueid : was.ueid, was.allowed, is.allowed, was.why, is.why};
  }

 private:
  const Past& past_;
  const policy::Policy &before_, &after_;
  bool alike_;
  std::optional<Then> last_;
  std::optional<Verifier> old_, new_;
};

}  // namespace

std::vector<Replayed> replay(const Home& home, const audit::LogCopy& log, const policy::Policy& before,
                             const policy::Policy& after) {
  std::vector<Task> tasks = archived(home);
  const auto verdicts = verdicts_on(log, tasks);
  for (Task& task : tasks)
    if (const auto found = verdicts.find(task.digest); found != verdicts.end()) task.verdict = found->second;
  std::ranges::sort(tasks, {}, [](const Task& task) { return task.verdict.value_or(UINT64_MAX); });
  const Past past(home, log);
  std::vector<Replayed> out(tasks.size());
  const auto worker = [&]() -> seal::Work {
    return [&, own = std::make_shared<Replayer>(past, before, after)](std::uint64_t task) {
      out[task] = (*own)(tasks[task]);
    };
  };
  seal::run_parallel(seal::default_threads(), tasks.size(), worker, {});
  std::ranges::sort(out, {}, &Replayed::report);
  return out;
}

}  // namespace qpcseal::release
