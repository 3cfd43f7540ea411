#include "appliance/audit/log.h"

#include <algorithm>
#include <utility>

#include "appliance/audit/chain.h"
#include "appliance/audit/snapshot.h"
#include "base/current_error.h"

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

// What one append leaves behind the anchor is of one transaction: so a start can tell it from a rollback.
std::vector<std::vector<Entry>> by_txn(std::vector<Entry> entries) {
  std::vector<std::vector<Entry>> out;
  for (Entry& entry : entries) {
    if (out.empty() || out.back().front().txn != entry.txn) out.emplace_back();
    out.back().push_back(std::move(entry));
  }
  return out;
}

}  // namespace

Log Log::create(const LogSettings& settings, Signer& signer, const std::string& origin, Json genesis) {
  VerifierKey key(origin, signer.type(), signer.public_key());
  genesis["log_key"] = key.text();
  Store store = Store::create(settings.folder);
  Log log(settings, signer, std::move(store), Position(std::move(key)));
  log.event("genesis", std::move(genesis));
  return log;
}

Log Log::open(const LogSettings& settings, Signer& signer) {
  std::optional<AnchorState> anchor;
  if (settings.anchor != nullptr) anchor = settings.anchor->read();
  Store store = Store::open(settings.folder);
  // What the anchor knows must be replayed from there on, to see that it is no more than one append behind.
  Position at = find_position(store, settings.folder, signer, anchor ? anchor->size : UINT64_MAX);
  check_clock(settings.clock, at.state.last_time);
  Log log(settings, signer, std::move(store), std::move(at));
  log.check_anchor(anchor);
  log.recover();
  log.save_snapshot();
  return log;
}

const Tree& Log::tree() const {
  if (at_.tree.is_whole()) return at_.tree;
  if (whole_ && whole_->size() == at_.tree.size()) return *whole_;
  Tree tree;
  const std::string text = store_.read_entries();
  for (const std::string_view line : split_lines(text))
    if (tree.size() < at_.tree.size()) tree.append(leaf_hash(view(line)));
  if (tree.root() != at_.tree.root())
    throw Error(ErrorKind::LogDamaged, "the audit log's entries changed under us");
  return whole_.emplace(std::move(tree));
}

// The anchor may be one append behind, where a run ended between checkpoint and anchor; never ahead.
void Log::check_anchor(const std::optional<AnchorState>& anchor) {
  const std::string recent = std::exchange(at_.recent, {});
  if (settings_.anchor == nullptr) return;
  const AnchorState now{at_.checkpoint.size, at_.checkpoint.root};
  if (!anchor && now.size > 1) throw Error(ErrorKind::LogDamaged, "the log's anchor is gone from the token");
  if (anchor && anchor->size > now.size)
    throw Error(ErrorKind::LogDamaged, "the audit log was rolled back: it has " + std::to_string(now.size) +
                                           " entries, the token remembers " + std::to_string(anchor->size) +
                                           "; " + entry_name(now.size) + " is missing");
  if (anchor && (anchor->size == 0 || at_.tree.root(anchor->size) != anchor->root))
    throw Error(ErrorKind::LogDamaged, "the audit log is not the one that the token remembers at " +
                                           std::to_string(anchor->size) + " entries");
  const Lines lines = split_lines(recent);
  if (anchor && !is_one_append(std::span(lines).subspan(lines.size() - (now.size - anchor->size))))
    throw Error(ErrorKind::LogDamaged,
                "the token's memory of the audit log is old: it ends before " + entry_name(anchor->size) +
                    ", and more than one append follows",
                "the token may have been put back to an older state");
  if (!anchor || !(*anchor == now)) settings_.anchor->write(now);
}

// Lines that no checkpoint covers were never acknowledged: they are kept apart, and not adopted.
void Log::recover() {
  const std::string tail = std::exchange(at_.tail, {});
  if (!tail.empty()) store_.quarantine(at_.end, tail);
  for (const std::string& name : store_.quarantine_files()) {
    if (at_.state.quarantined.contains(name)) continue;
    const std::string text = store_.read_quarantine(name);
    event("recovery", {{"quarantine", name},
                       {"bytes", text.size()},
                       {"lines", split_lines(text).size()},
                       {"sha256", to_hex(sha256(view(text)))}});
  }
}

// Without it the next start takes longer, and that is all: what was appended is on disk, so that a full disk
// or a failing token is no reason to say that it is not.
void Log::save_snapshot() {
  if (at_.state.size - at_.in_snapshot < settings_.snapshot_every) return;
  try {
    store_.write_snapshot(
        sign_snapshot({at_.state, at_.tree, at_.end, at_.written.so_far()}, at_.key, *signer_));
    at_.in_snapshot = at_.state.size;
  } catch (const std::exception&) {
    return;
  }
}

std::string Log::new_txn() { return to_hex(settings_.random.bytes(kTxnSize)); }

Entry Log::make(const std::string& kind, Phase phase, const std::string& txn, Json data) const {
  Entry entry;
  entry.time = std::max(settings_.clock.now(), at_.state.last_time);
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
    out.push_back(at_.state.size + out.size());
  }
  for (auto& part : by_txn(std::move(entries))) conclude(std::move(part));
  return out;
}

void Log::wrapped(const std::vector<Txn>& txns, std::vector<Json> data) {
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < txns.size(); ++i) {
    entries.push_back(make(txns[i].kind, Phase::Wrapped, txns[i].id, std::move(data.at(i))));
    entries.back().intent = txns[i].seq;
  }
  for (auto& part : by_txn(std::move(entries))) append(std::move(part));
}

std::uint64_t Log::event(const std::string& kind, Json data) {
  return events(kind, {std::move(data)}).front();
}

std::vector<std::uint64_t> Log::events(const std::string& kind, std::vector<Json> data) {
  const std::string txn = new_txn();
  std::vector<Entry> entries;
  std::vector<std::uint64_t> out;
  for (Json& one : data) entries.push_back(make(kind, Phase::Event, txn, std::move(one)));
  const std::uint64_t first = conclude(std::move(entries));
  for (std::size_t i = 0; i < data.size(); ++i) out.push_back(first + i);
  return out;
}

std::uint64_t Log::rotate(const Txn& txn, Signer& next) {
  const VerifierKey key(at_.key.name(), next.type(), next.public_key());
  Entry entry = make(txn.kind, Phase::Result, txn.id,
                     {{"log_key", key.text()},
                      {"signature", to_base64(signer_->sign(rotation_message(key)))},
                      {"previous", at_.key.text()}});
  entry.intent = txn.seq;
  entry.outcome = "ok";
  return conclude({std::move(entry)}, &next);
}

// Into state and tree; the lines come back.
std::string Log::add(std::vector<Entry>& entries) {
  std::string lines;
  for (Entry& entry : entries) {
    entry.seq = at_.state.size;
    if (entry.seq > 0) entry.prev = at_.tree.leaf(entry.seq - 1);
    const std::string line = encode_entry(entry);
    at_.state.apply(entry);
    at_.tree.append(leaf_hash(view(line)));
    lines += line + "\n";
  }
  return lines;
}

// The old checkpoint: nothing of the append counts. The new one: all of it does.
Appended Log::look(const std::string& before) const noexcept {
  try {
    if (before.empty() && !std::filesystem::exists(store_.checkpoint_path())) return Appended::Nothing;
    const std::string now = store_.read_checkpoint();
    if (now == before)
      return Appended::Nothing;  // first: at_.note is the old one until the new one is signed
    return now == at_.note ? Appended::Durable : Appended::Unknown;
  } catch (const std::exception&) {
    return Appended::Unknown;
  }
}

void Log::renew_anchor() {
  if (!anchor_due_) return;
  with_context("the log's anchor could not be renewed",
               [&] { settings_.anchor->write({at_.checkpoint.size, at_.checkpoint.root}); });
  anchor_due_ = false;
}

void Log::write(const std::string& lines, Signer* next) {
  store_.append(at_.end, lines);
  at_.end += lines.size();
  at_.written.update(view(lines));
  if (next != nullptr) {
    signer_ = next;
    at_.key = VerifierKey(at_.key.name(), next->type(), next->public_key());
  }
  at_.checkpoint = {at_.tree.size(), at_.tree.root()};
  at_.note = sign_checkpoint(at_.checkpoint, at_.key, *signer_);
  store_.publish(at_.note);
}

std::uint64_t Log::append(std::vector<Entry> entries, Signer* next) {
  if (broken_)
    throw AppendError(Appended::Nothing,
                      {ErrorKind::Io, "the audit log could not be written; nothing more is done"});
  if (!at_.note.empty() && store_.read_checkpoint() != at_.note)
    throw Error(ErrorKind::LogDamaged, "the audit log's checkpoint changed under us");
  try {
    renew_anchor();  // the anchor may lag one append, not two
  } catch (...) {
    throw AppendError(Appended::Nothing, current_error());
  }
  // Until all of it is on disk this object is of no more use: an entry that cannot follow, or a fault, ends
  // it.
  broken_ = true;
  const std::uint64_t first = at_.state.size;
  const std::string lines = add(entries), before = at_.note;
  try {
    write(lines, next);
  } catch (...) {
    const Error cause = current_error();
    throw AppendError(look(before), cause);
  }
  broken_ = false;
  anchor_due_ = settings_.anchor != nullptr;
  try {
    renew_anchor();
  } catch (...) {
    throw AppendError(Appended::Durable, current_error());
  }
  save_snapshot();
  return first;
}

// What is in the log is done: a failure behind it is noted, and does not make the act fail.
std::uint64_t Log::conclude(std::vector<Entry> entries, Signer* next) {
  const std::uint64_t first = at_.state.size;
  try {
    append(std::move(entries), next);
  } catch (const AppendError& error) {
    if (error.appended() != Appended::Durable || settings_.status == nullptr) throw;
    settings_.status->faults.emplace_back(error.what());
  }
  if (settings_.status != nullptr) settings_.status->acted = true;
  return first;
}

}  // namespace qpcseal::audit
