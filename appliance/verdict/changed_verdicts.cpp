// SPDX-License-Identifier: Apache-2.0
#include "appliance/verdict/changed_verdicts.h"

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

namespace qpcseal::verdict {

namespace {

using audit::Entry;
using encoding::Json;

struct Task {
  std::filesystem::path path;
  std::string digest;                    // of the report, hex
  std::optional<std::uint64_t> verdict;  // that is evaluated again; nothing: a release that was cut short
};

// What a report was judged with.
struct RecordedContext {
  std::string trust;  // its digest, hex; empty: the material in force
  attest::CrlNumbers crl_floors;
  UnixTime verified_at = 0;
  std::optional<Bytes> mek_id;
  std::optional<release::RecordedInputs> recorded;  // nothing: it was not judged, for it did not verify

  [[nodiscard]] bool verified_like(const RecordedContext& other) const {
    return trust == other.trust && crl_floors == other.crl_floors && verified_at == other.verified_at;
  }
};

struct ReplayOutcome {
  bool allowed = false;
  Findings why;
  std::string ueid;
};

std::vector<Task> archived(const site::Home& home) {
  std::vector<Task> out;
  std::error_code failed;
  for (const auto& item : std::filesystem::directory_iterator(home.reports(), failed))
    if (item.path().extension() == ".report") out.push_back({item.path(), {}, {}});
  std::ranges::sort(out, {}, &Task::path);
  for (Task& task : out) task.digest = to_hex(release::read_report(task.path, true).digest);
  return out;
}

// A verdict on a report that answered a challenge which was used up before.
bool came_too_late(const Entry& verdict) {
  const Json& judged = encoding::member(verdict.data, "judged");
  const auto consumed = judged.find("consumed");  // not there: the report did not verify
  return consumed != judged.end() && *consumed == true;
}

// Of each report the last verdict that found its challenge unused; where none did, the last one.
std::map<std::string, std::uint64_t> verdicts_on(const audit::LogCopy& log, const std::vector<Task>& tasks) {
  std::set<std::string_view> wanted;
  for (const Task& task : tasks) wanted.insert(task.digest);
  std::map<std::string, std::uint64_t> out;
  std::set<std::string> fresh;                 // reports with a verdict that did not come too late
  std::map<std::uint64_t, std::string> begun;  // reports of intents without a result
  log.each([&](std::uint64_t seq, std::string_view line) {
    const std::string_view kind = audit::scan_entry(line).kind;
    if (kind != "release" && kind != "denied") return;
    const Entry entry = audit::parse_entry(line);
    std::string report;
    if (entry.phase == audit::Phase::Result) {
      if (auto intent = begun.extract(entry.intent.value())) report = std::move(intent.mapped());
    } else if (entry.phase == audit::Phase::Intent || release::is_verdict(entry)) {
      report = encoding::text_member(entry.data, "report_sha256");
    }
    if (entry.phase == audit::Phase::Intent) begun.emplace(seq, report);
    if (!release::is_verdict(entry) || !wanted.contains(report)) return;
    const bool late = came_too_late(entry);
    if (late && fresh.contains(report)) return;
    out[report] = seq;
    if (!late) fresh.insert(report);
  });
  return out;
}

// What the log and the home say of the past. Several threads may use one.
class ReportHistory {
 public:
  ReportHistory(const site::Home& home, const audit::LogCopy& log)
      : home_(home), log_(log), genesis_(audit::parse_entry(log.line(0))) {}

  [[nodiscard]] RecordedContext of(const Task& task) const {
    if (!task.verdict) return {"", {}, log_.state.last_time, std::nullopt, std::nullopt};
    const Entry verdict = audit::parse_entry(log_.line(*task.verdict));
    const Json& judged = encoding::member(verdict.data, "judged");
    // Report and key stand in the release's intent, or in the event of a report that does not verify.
    const Json facts = release::is_unverified(verdict)
                           ? verdict.data
                           : audit::parse_entry(log_.line(verdict.intent.value())).data;
    RecordedContext out{encoding::text_member(judged, "trust"), release::recorded_crl_floors(judged),
                        release::recorded_time(judged), from_hex(encoding::text_member(facts, "mek_id")),
                        std::nullopt};
    if (!release::is_unverified(verdict)) out.recorded = recorded(judged, facts);
    return out;
  }

  // Parsed once for all that were verified with it.
  [[nodiscard]] trust::Trust trust_of(const RecordedContext& then) const {
    const std::scoped_lock lock(reading_);
    const auto known = trusts_.find(then.trust);
    trust::Trust out = known != trusts_.end() ? known->second
                       : then.trust.empty()   ? site::read_pinned_trust(home_, log_.state)
                                              : site::parse_trust(site::kept_trust(home_, then.trust));
    if (known == trusts_.end()) trusts_.emplace(then.trust, out);
    if (!then.trust.empty()) out.crl_floors = then.crl_floors;
    return out;
  }

  [[nodiscard]] const audit::State& state() const { return log_.state; }

  [[nodiscard]] ReplayOutcome evaluate(const policy::Policy& policy, const RecordedContext& then,
                                       const release::Report& report,
                                       const release::Verified& verified) const {
    if (!verified.evidence.claims) return {false, verified.evidence.findings, ""};
    const audit::State& state = then.recorded ? then.recorded->state : log_.state;
    release::VerdictInputs question{policy, state, then.verified_at, {}, then.mek_id, 1};
    if (then.recorded) {
      question.now = then.recorded->now;
      question.suites = then.recorded->suites;
      question.releases_wanted = then.recorded->wanted;
      question.format = then.recorded->format;
    }
    policy::ChallengeFacts challenge =
        release::challenge_facts(state, verified.evidence.claims->nonce, report);
    challenge.consumed = false;
    challenge.made = question.now;
    challenge.expiry = INT64_MAX;
    const release::Verdict verdict = release::judge(question, challenge, verified);
    return {verdict.decision.allowed(), verdict.decision.findings(), to_hex(verified.evidence.claims->ueid)};
  }

 private:
  [[nodiscard]] release::RecordedInputs recorded(const Json& judged, const Json& intent) const {
    const auto found = log_.state.challenges.find(from_hex(encoding::text_member(intent, "nonce")));
    if (found == log_.state.challenges.end())
      return release::parse_recorded_inputs(judged, genesis_, nullptr, intent);
    const audit::Challenge& known = found->second;
    Entry challenge;  // what the log says of it
    challenge.time = known.made;
    challenge.data = {{"nonce", to_hex(known.nonce)},
                      {"mek_id", to_hex(known.mek_id)},
                      {"ueid", known.ueid ? Json(to_hex(*known.ueid)) : Json(nullptr)},
                      {"expires", static_cast<std::uint64_t>(known.expires)}};
    return release::parse_recorded_inputs(judged, genesis_, &challenge, intent);
  }

  const site::Home& home_;
  const audit::LogCopy& log_;
  Entry genesis_;
  mutable std::mutex reading_;
  mutable std::map<std::string, trust::Trust> trusts_;  // by digest
};

// One thread's work. Reports that were verified together come one after another, and share a verifier; where
// both policies verify alike, each report is verified once.
class Replayer {
 public:
  Replayer(const ReportHistory& past, const policy::Policy& before, const policy::Policy& after)
      : past_(past), before_(before), after_(after), alike_(release::verify_alike(before, after)) {}

  ChangedVerdict operator()(const Task& task) {
    const release::Report report = release::read_report(task.path, true);
    RecordedContext then = past_.of(task);
    if (!last_ || !last_->verified_like(then)) {
      const trust::Trust trust = past_.trust_of(then);
      old_.emplace(before_, trust, then.verified_at, &past_.state());
      if (!alike_) new_.emplace(after_, trust, then.verified_at, &past_.state());
    }
    const release::Verified verified = old_->verify(report);
    const ReplayOutcome was = past_.evaluate(before_, then, report, verified);
    const ReplayOutcome is = past_.evaluate(after_, then, report, alike_ ? verified : new_->verify(report));
    last_ = std::move(then);
    return {task.digest, was.ueid.empty() ? is.ueid : was.ueid, was.allowed, is.allowed, was.why, is.why};
  }

 private:
  const ReportHistory& past_;
  const policy::Policy &before_, &after_;
  bool alike_;
  std::optional<RecordedContext> last_;
  std::optional<release::Verifier> old_, new_;
};

}  // namespace

std::vector<ChangedVerdict> changed_verdicts(const site::Home& home, const audit::LogCopy& log,
                                             const policy::Policy& before, const policy::Policy& after) {
  std::vector<Task> tasks = archived(home);
  const auto verdicts = verdicts_on(log, tasks);
  for (Task& task : tasks)
    if (const auto found = verdicts.find(task.digest); found != verdicts.end()) task.verdict = found->second;
  std::ranges::sort(tasks, {}, [](const Task& task) { return task.verdict.value_or(UINT64_MAX); });
  const ReportHistory past(home, log);
  std::vector<ChangedVerdict> out(tasks.size());
  const auto worker = [&]() -> Work {
    return [&, own = std::make_shared<Replayer>(past, before, after)](std::uint64_t task) {
      out[task] = (*own)(tasks[task]);
    };
  };
  run_parallel(default_threads(), tasks.size(), worker, {});
  std::ranges::sort(out, {}, &ChangedVerdict::report);
  return out;
}

}  // namespace qpcseal::verdict
