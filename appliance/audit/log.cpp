#include "appliance/audit/log.h"

#include <algorithm>

#include "appliance/audit/chain.h"
#include "base/error.h"

namespace qpcseal::audit {

namespace {

constexpr std::size_t kTxnSize = 16;       // bytes
constexpr UnixTime kClockTolerance = 300;  // seconds that a clock may have been set back

void check_clock(const Clock& clock, UnixTime last) {
  if (clock.now() + kClockTolerance < last)
    throw Error(ErrorKind::Denied,
                "the clock says " + format_time(clock.now()) + ", but the log's last entry is of " +
                    format_time(last),
                "set the workstation's clock");
}

}  // namespace

Log Log::create(const LogSettings& settings, Signer& signer, const std::string& origin, Json genesis) {
  VerifierKey key(origin, signer.type(), signer.public_key());
  genesis["log_key"] = key.text();
  Store store = Store::create(settings.folder);
  Log log(settings, signer, std::move(store), {{}, {}, {}, {}, std::move(key), {}, {0}, {}});
  log.event("genesis", std::move(genesis));
  return log;
}

Log Log::open(const LogSettings& settings, Signer& signer) {
  LogCopy copy = read_log(settings.folder, std::nullopt);
  if (copy.key.type() != signer.type() || copy.key.key() != signer.public_key())
    throw Error(ErrorKind::LogDamaged,
                "the audit log was signed with another key than the one in this token");
  check_clock(settings.clock, copy.state.last_time);
  Log log(settings, signer, Store::open(settings.folder), std::move(copy));
  log.check_anchor();
  log.recover();
  return log;
}

// Entries [first, end) are what one append writes.
bool Log::is_last_append(std::uint64_t first) const {
  Lines lines;
  for (std::uint64_t seq = first; seq < copy_.state.size; ++seq) lines.push_back(copy_.line(seq));
  return is_one_append(lines);
}

// The anchor may be one append behind, where a run ended between checkpoint and anchor; never ahead.
void Log::check_anchor() {
  if (settings_.anchor == nullptr) return;
  const auto anchor = settings_.anchor->read();
  const AnchorState now{copy_.checkpoint.size, copy_.checkpoint.root};
  if (!anchor && now.size > 1) throw Error(ErrorKind::LogDamaged, "the log's anchor is gone from the token");
  if (anchor && anchor->size > now.size)
    throw Error(ErrorKind::LogDamaged, "the audit log was rolled back: it has " + std::to_string(now.size) +
                                           " entries, the token remembers " + std::to_string(anchor->size) +
                                           "; " + entry_name(now.size) + " is missing");
  if (anchor && (anchor->size == 0 || copy_.tree.root(anchor->size) != anchor->root))
    throw Error(ErrorKind::LogDamaged, "the audit log is not the one that the token remembers at " +
                                           std::to_string(anchor->size) + " entries");
  if (anchor && !is_last_append(anchor->size))
    throw Error(ErrorKind::LogDamaged,
                "the token's memory of the audit log is old: it ends before " + entry_name(anchor->size) +
                    ", and more than one append follows",
                "the token may have been put back to an older state");
  if (!anchor || !(*anchor == now)) settings_.anchor->write(now);
}

// Lines that no checkpoint covers were never acknowledged: they are kept apart, and not adopted.
void Log::recover() {
  if (!copy_.tail.empty()) {
    const std::string tail = std::move(copy_.tail);
    copy_.tail.clear();
    store_.quarantine(copy_.starts.back(), tail);
  }
  for (const std::string& name : store_.quarantine_files()) {
    if (copy_.state.quarantined.contains(name)) continue;
    const std::string text = store_.read_quarantine(name);
    event("recovery", {{"quarantine", name},
                       {"bytes", text.size()},
                       {"lines", split_lines(text).size()},
                       {"sha256", to_hex(sha256(view(text)))}});
  }
}

std::string Log::new_txn() { return to_hex(settings_.random.bytes(kTxnSize)); }

Entry Log::make(const std::string& kind, Phase phase, const std::string& txn, Json data) const {
  Entry entry;
  entry.time = std::max(settings_.clock.now(), copy_.state.last_time);
  entry.kind = kind;
  entry.phase = phase;
  entry.txn = txn;
  entry.software = settings_.software;
  entry.data = std::move(data);
  return entry;
}

Txn Log::intent(const std::string& kind, Json data) { return intents(kind, {std::move(data)}).front(); }

std::vector<Txn> Log::intents(const std::string& kind, std::vector<Json> data) {
  const std::string txn = new_txn();
  std::vector<Entry> entries;
  std::vector<Txn> out;
  for (Json& one : data) entries.push_back(make(kind, Phase::Intent, txn, std::move(one)));
  const std::uint64_t first = append(std::move(entries));
  for (std::size_t i = 0; i < data.size(); ++i) out.push_back({first + i, txn, kind});
  return out;
}

std::uint64_t Log::result(const Txn& txn, const std::string& outcome, Json data) {
  return results({{txn, outcome, std::move(data)}}).front();
}

std::vector<std::uint64_t> Log::results(std::vector<Outcome> outcomes) {
  std::vector<Entry> entries;
  std::vector<std::uint64_t> out;
  for (Outcome& outcome : outcomes) {
    Entry entry = make(outcome.txn.kind, Phase::Result, outcome.txn.id, std::move(outcome.data));
    entry.intent = outcome.txn.seq;
    entry.outcome = outcome.outcome;
    entries.push_back(std::move(entry));
  }
  const std::uint64_t first = append(std::move(entries));
  for (std::size_t i = 0; i < outcomes.size(); ++i) out.push_back(first + i);
  return out;
}

std::uint64_t Log::event(const std::string& kind, Json data) {
  return events(kind, {std::move(data)}).front();
}

std::vector<std::uint64_t> Log::events(const std::string& kind, std::vector<Json> data) {
  const std::string txn = new_txn();
  std::vector<Entry> entries;
  std::vector<std::uint64_t> out;
  for (Json& one : data) entries.push_back(make(kind, Phase::Event, txn, std::move(one)));
  const std::uint64_t first = append(std::move(entries));
  for (std::size_t i = 0; i < data.size(); ++i) out.push_back(first + i);
  return out;
}

std::uint64_t Log::append(std::vector<Entry> entries) {
  if (broken_) throw Error(ErrorKind::Io, "the audit log could not be written; nothing more is done");
  if (!copy_.note.empty() && store_.read_checkpoint() != copy_.note)
    throw Error(ErrorKind::LogDamaged, "the audit log's checkpoint changed under us");
  // Until all of it is on disk this object is of no more use: an entry that cannot follow, or a fault, ends
  // it.
  broken_ = true;
  std::string lines;
  const std::uint64_t first = copy_.state.size, end = copy_.starts.back();
  for (Entry& entry : entries) {
    entry.seq = copy_.state.size;
    if (entry.seq > 0) entry.prev = copy_.tree.leaf(entry.seq - 1);
    const std::string line = encode_entry(entry);
    copy_.state.apply(entry);
    copy_.tree.append(leaf_hash(view(line)));
    lines += line + "\n";
    copy_.starts.push_back(end + lines.size());
  }
  copy_.text += lines;
  store_.append(end, lines);
  copy_.checkpoint = {copy_.tree.size(), copy_.tree.root()};
  copy_.note = sign_checkpoint(copy_.checkpoint, copy_.key, *signer_);
  store_.publish(copy_.note);
  if (settings_.anchor != nullptr) settings_.anchor->write({copy_.checkpoint.size, copy_.checkpoint.root});
  broken_ = false;
  return first;
}

}  // namespace qpcseal::audit
