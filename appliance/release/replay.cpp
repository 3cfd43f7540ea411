#include "appliance/release/replay.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "appliance/release/appliance.h"
#include "appliance/release/archive.h"
#include "appliance/release/circumstances.h"
#include "appliance/release/verify.h"

namespace qpcseal::release {

namespace {

using audit::Entry;
using audit::Json;

// What a report was judged with.
struct Then {
  Trust trust;
  UnixTime verified_at = 0;
  std::optional<Bytes> mek_id;
  std::optional<Recalled> recalled;  // nothing: it was not judged, for it did not verify
};

struct Answer {
  bool allowed = false;
  Findings why;
  std::string ueid;
};

class Past {
 public:
  Past(const Home& home, const audit::LogCopy& log) : home_(home), log_(log), present_(log.state) {
    for (auto& [nonce, challenge] : present_.challenges) challenge.consumed = false;
    log.each([&](std::uint64_t seq, std::string_view line) {
      const std::string_view kind = audit::scan_entry(line).kind;
      if (kind != "challenge" && kind != "release" && kind != "denied") return;
      const Entry entry = audit::parse_entry(line);
      if (kind == "challenge") challenges_[audit::text_member(entry.data, "nonce")] = seq;
      if (is_verdict(entry)) verdicts_[audit::text_member(named(entry), "report_sha256")] = seq;
    });
  }

  // A report without a verdict is one of a release that was cut short.
  [[nodiscard]] Then of(const Report& report) const {
    const auto found = verdicts_.find(to_hex(report.digest));
    if (found == verdicts_.end())
      return {read_pinned_trust(home_, log_.state), log_.state.last_time, std::nullopt, std::nullopt};
    const Entry verdict = audit::parse_entry(log_.line(found->second));
    const Json& judged = audit::member(verdict.data, "judged");
    const Json facts = named(verdict);
    Then out{trust_of(judged), time_of(judged), from_hex(audit::text_member(facts, "mek_id")), std::nullopt};
    if (!is_unverified(verdict)) out.recalled = recalled(judged, facts);
    return out;
  }

  [[nodiscard]] Answer ask(const policy::Policy& policy, const Then& then, const Report& report) const {
    const Verified verified = verify_attestation(report, policy, then.trust, then.verified_at);
    if (!verified.evidence.claims) return {false, verified.evidence.findings, ""};
    const audit::State& state = then.recalled ? then.recalled->state : present_;
    Question question{policy, state, then.verified_at, {}, then.mek_id, 1};
    if (then.recalled) {
      question.now = then.recalled->now;
      question.suites = then.recalled->suites;
      question.releases_wanted = then.recalled->wanted;
    }
    const auto challenge = challenge_facts(state, verified.evidence.claims->nonce, report);
    const Verdict verdict = judge(question, challenge, verified);
    return {verdict.decision.allowed(), verdict.decision.findings(), to_hex(verified.evidence.claims->ueid)};
  }

 private:
  // Report and key stand in the release's intent, or in the event of a report that does not verify.
  [[nodiscard]] Json named(const Entry& verdict) const {
    return is_unverified(verdict) ? verdict.data : audit::parse_entry(log_.line(verdict.intent.value())).data;
  }

  [[nodiscard]] Trust trust_of(const Json& judged) const {
    Trust out = parse_trust(kept_trust(home_, audit::text_member(judged, "trust")));
    out.crl_floors = crl_floors_of(judged);
    return out;
  }

  [[nodiscard]] Recalled recalled(const Json& judged, const Json& intent) const {
    const Entry genesis = audit::parse_entry(log_.line(0));
    const auto found = challenges_.find(audit::text_member(intent, "nonce"));
    if (found == challenges_.end()) return recall(judged, genesis, nullptr, intent);
    const Entry challenge = audit::parse_entry(log_.line(found->second));
    return recall(judged, genesis, &challenge, intent);
  }

  const Home& home_;
  const audit::LogCopy& log_;
  audit::State present_;
  std::map<std::string, std::uint64_t> challenges_, verdicts_;  // by nonce, by report: the last entry
};

std::vector<std::filesystem::path> archived(const Home& home) {
  std::vector<std::filesystem::path> out;
  std::error_code failed;
  for (const auto& item : std::filesystem::directory_iterator(home.reports(), failed))
    if (item.path().extension() == ".report") out.push_back(item.path());
  std::ranges::sort(out);
  return out;
}

}  // namespace

std::vector<Replayed> replay(const Home& home, const audit::LogCopy& log, const policy::Policy& before,
                             const policy::Policy& after) {
  const Past past(home, log);
  std::vector<Replayed> out;
  for (const std::filesystem::path& path : archived(home)) {
    const Report report = read_report(path);
    const Then then = past.of(report);
    const Answer was = past.ask(before, then, report), is = past.ask(after, then, report);
    out.push_back({to_hex(report.digest), was.ueid.empty() ? is.ueid : was.ueid, was.allowed, is.allowed,
                   was.why, is.why});
  }
  return out;
}

}  // namespace qpcseal::release
