// SPDX-License-Identifier: Apache-2.0
#include "appliance/ceremony/history.h"

#include <algorithm>

namespace qpcseal::ceremony {

namespace {

using audit::Entry;
using audit::Phase;
using encoding::Json;

class Reader {
 public:
  Reader(const Json& begin, History& history)
      : id_(encoding::text_member(begin, "ceremony")), history_(history) {}

  void take(const Entry& entry) {
    if (entry.kind == "ceremony-step") {
      take_step(entry);
    } else if (entry.kind == "ceremony" && entry.phase == Phase::Result) {
      history_.end = entry.seq;
      history_.outcome = entry.outcome;
      history_.result = entry.data;
    } else if (entry.kind == "ceremony-stop") {
      const std::string& step = encoding::text_member(entry.data, "step");
      history_.interruptions.push_back(
          {entry.time, entry.time, step, encoding::text_member(entry.data, "cause"), std::nullopt});
    } else if (entry.kind == "ceremony-resume") {
      take_resume(entry);
    } else {
      take_act(entry);
    }
    if (entry.kind.starts_with("ceremony") && entry.data.value("error", "") != kAbandoned && !history_.end)
      history_.last_seen = entry.time;
  }

 private:
  // A run that was killed did not say that it stopped.
  void take_resume(const Entry& entry) {
    auto& all = history_.interruptions;
    if (all.empty() || all.back().resumed)
      all.push_back({std::nullopt, history_.last_seen, "", "", std::nullopt});
    all.back().resumed = entry.time;
  }

  void take_step(const Entry& entry) {
    if (entry.phase == Phase::Intent) {
      Attempt next;
      next.number = encoding::uint_member(entry.data, "attempt");
      next.seq = entry.seq;
      next.txn = entry.txn;
      next.began = entry.time;
      history_.steps[encoding::text_member(entry.data, "step")].push_back(std::move(next));
      return;
    }
    for (auto& [step, attempts] : history_.steps) {
      for (Attempt& attempt : attempts) {
        if (attempt.seq != entry.intent) continue;
        attempt.outcome = entry.outcome;
        attempt.ended = entry.time;
        attempt.data = entry.data;
      }
    }
  }

  // An intent or event names the ceremony in its approval; a result belongs to its intent.
  void take_act(const Entry& entry) {
    if (entry.phase == Phase::Result) {
      const auto open = open_.find(entry.intent.value());
      if (open == open_.end()) return;
      add(open->second, {entry.seq, entry.kind, entry.outcome, open->second.data, entry.data});
      open_.erase(open);
      history_.last_seen = entry.time;
      return;
    }
    const auto approval = entry.data.find("approval");
    if (approval == entry.data.end() || approval->value("ceremony", "") != id_) return;
    if (entry.phase == Phase::Intent) {
      open_.emplace(entry.seq, entry);
      history_.last_seen = entry.time;
    } else {
      add(entry, {entry.seq, entry.kind, "ok", entry.data, entry.data});
      history_.last_seen = entry.time;
    }
  }

  void add(const Entry& asked, LoggedAct act) {
    const Json& approval = asked.data.at("approval");
    auto& attempts = history_.steps[encoding::text_member(approval, "step")];
    const std::uint64_t number = encoding::uint_member(approval, "attempt");
    const auto found = std::ranges::find(attempts, number, &Attempt::number);
    if (found != attempts.end()) found->acts.push_back(std::move(act));
  }

  std::string id_;
  History& history_;
  std::map<std::uint64_t, Entry> open_;
};

// The number of the entry that began it.
std::optional<std::uint64_t> find_beginning(const audit::LogCopy& log, const std::string& plan_sha256,
                                            const std::string& ceremony) {
  std::optional<std::uint64_t> out;
  log.each(0, log.state.size, [&](std::uint64_t seq, std::string_view line) {
    const Entry entry = audit::parse_entry(line);
    if (entry.kind == "ceremony" && entry.phase == Phase::Intent &&
        entry.data.value("plan_sha256", "") == plan_sha256 && entry.data.value("ceremony", "") == ceremony)
      out = seq;
    return !out;
  });
  return out;
}

}  // namespace

const Attempt* History::last_attempt(const std::string& step) const {
  const auto found = steps.find(step);
  return found == steps.end() || found->second.empty() ? nullptr : &found->second.back();
}

bool History::done(const std::string& step) const {
  const Attempt* last = last_attempt(step);
  return last != nullptr && last->outcome == "ok";
}

std::optional<std::uint64_t> History::unconfirmed(const std::string& step) const {
  const auto found = steps.find(step);
  if (found == steps.end() || done(step)) return std::nullopt;
  std::optional<std::uint64_t> out;
  for (const Attempt& attempt : found->second)
    for (const LoggedAct& act : attempt.acts)
      if (act.outcome == "ok") out = act.seq;
  return out;
}

std::optional<History> find_history(const audit::LogCopy& log, const std::string& plan_sha256,
                                    const std::string& ceremony) {
  const auto known = log.state.ceremonies.find(plan_sha256);
  if (known == log.state.ceremonies.end()) return std::nullopt;
  const bool is_last = ceremony.empty() || ceremony == known->second.id;
  const auto begun = is_last ? std::optional(known->second.seq) : find_beginning(log, plan_sha256, ceremony);
  if (!begun) return std::nullopt;
  History out;
  const Entry first = audit::parse_entry(log.line(*begun));
  out.seq = first.seq;
  out.txn = first.txn;
  out.began = out.last_seen = first.time;
  out.begin = first.data;
  Reader reader(first.data, out);
  log.each(first.seq + 1, log.state.size, [&](std::uint64_t, std::string_view line) {
    reader.take(audit::parse_entry(line));
    return !out.end;
  });
  return out;
}

}  // namespace qpcseal::ceremony
