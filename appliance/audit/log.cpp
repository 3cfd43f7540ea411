// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/log.h"

#include <algorithm>
#include <utility>

#include "appliance/audit/chain.h"
#include "appliance/audit/snapshot.h"
#include "base/current_error.h"

namespace qpcseal::audit {

namespace {

// Lines that no checkpoint covers, before anything is written over them.
void put_aside(Store& store, LogCursor& at) {
  const std::string tail = std::exchange(at.tail, {});
  if (!tail.empty()) store.quarantine(at.end, tail);
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

// Before anything of an append is done: once a part of it is in the state there is no way back.
void check_size(const Entry& entry) {
  constexpr std::size_t kOther = 512;  // bytes; all members but the data
  if (encoding::canonical(entry.data).size() > kMaxEntrySize - kOther)
    throw Error(ErrorKind::Malformed,
                "the audit log takes no '" + entry.kind + "' of more than " + std::to_string(kMaxEntrySize) +
                    " bytes",
                "nothing of it was logged");
}

}  // namespace

Log Log::create(const LogSettings& settings, tlog::Signer& signer, const std::string& origin,
                encoding::Json genesis) {
  tlog::VerifierKey key(origin, signer.type(), signer.public_key());
  genesis["log_key"] = key.text();
  Store store = Store::create(settings.dir);
  Log log(settings, signer, std::move(store), LogCursor(std::move(key)));
  log.event("genesis", std::move(genesis));
  return log;
}

Log Log::open(const LogSettings& settings, tlog::Signer& signer) {
  return open(settings, signer, find_position(settings.dir));
}

Log Log::open(const LogSettings& settings, tlog::Signer& signer, LogCursor at, OldAnchor old) {
  if (at.key.type() != signer.type() || at.key.key() != signer.public_key())
    throw Error(ErrorKind::LogDamaged,
                "the audit log was signed with another key than the one in this token");
  std::optional<AnchorState> anchor;
  if (settings.anchor != nullptr) anchor = settings.anchor->read();
  // What the anchor knows must be replayed from there on, to see that it is no more than one append behind.
  if (anchor && at.in_snapshot > anchor->size) at = find_position(settings.dir, anchor->size);
  Log log(settings, signer, Store::open(settings.dir), std::move(at));
  log.anchor_ = anchor;
  log.check_anchor(old);
  if (log.old_anchor_) return log;
  log.recover();
  log.save_snapshot();
  return log;
}

const tlog::Tree& Log::tree() const {
  if (at_.tree.is_whole()) return at_.tree;
  if (whole_ && whole_->size() == at_.tree.size()) return *whole_;
  return whole_.emplace(whole_tree(settings_.dir, at_));
}

std::string old_anchor(const LogCursor& at, const std::optional<AnchorState>& anchor) {
  const std::uint64_t size = at.checkpoint.size;
  if (!anchor) return size > 1 ? "the log's anchor is gone from the token" : "";
  if (anchor->size > size)
    throw Error(
        ErrorKind::LogDamaged,
        "the audit log was rolled back: it has " + std::to_string(size) + " entries, the token remembers " +
            std::to_string(anchor->size) + "; " + entry_name(size) + " is missing",
        "another copy of this home went on with this token: use that one. Else the home was put back to "
        "an older state: 'qpcseal home restore' of a newer backup");
  if (anchor->size == 0 || at.tree.root(anchor->size) != anchor->root)
    throw Error(ErrorKind::LogDamaged, "the audit log is not the one that the token remembers at " +
                                           std::to_string(anchor->size) + " entries");
  if (anchor->size >= at.last_append) return "";
  return "the token's memory of the audit log is old: it ends before " + entry_name(anchor->size) +
         ", and more than one append follows";
}

// The anchor may be one append behind, where a run ended between checkpoint and anchor; never ahead. One that
// is there counts, whatever the log says; where the log says that there is one, it must be there.
void Log::check_anchor(OldAnchor old) {
  if (settings_.anchor == nullptr) return;
  anchored_ = anchor_.has_value();
  if (!anchored_ && !at_.state.site.anchor) return;
  const std::string why = audit::old_anchor(at_, anchor_);
  old_anchor_ = !why.empty();
  if (old_anchor_ && old == OldAnchor::Refuse)
    throw Error(ErrorKind::LogDamaged, why + " (anchor " + to_string(anchor_) + ")",
                "the token may have been put back to an older state; officers may accept the log as it is: "
                "'qpcseal audit anchor-accept'");
  const AnchorState now{at_.checkpoint.size, at_.checkpoint.root};
  if (!old_anchor_ && (!anchor_ || !(*anchor_ == now))) settings_.anchor->write(now);
  if (!old_anchor_) anchor_ = now;
}

void Log::accept_anchor(const encoding::Json& approval) {
  if (!old_anchor_)
    throw Error(ErrorKind::Usage, "the token's anchor fits the log: there is nothing to accept");
  const HeldClock held(*this);
  encoding::Json data{{"anchor", nullptr},
                      {"log", {{"size", at_.checkpoint.size}, {"root", to_hex(at_.checkpoint.root)}}}};
  if (anchor_) data["anchor"] = {{"size", anchor_->size}, {"root", to_hex(anchor_->root)}};
  if (!approval.is_null()) data["approval"] = approval;
  put_aside(store_, at_);
  event("anchor-accept", std::move(data));
  old_anchor_ = false;
  recover();
}

// Lines that no checkpoint covers were never acknowledged: they are kept apart, and not adopted.
void Log::recover() {
  const HeldClock held(*this);
  put_aside(store_, at_);
  for (const std::string& name : store_.quarantine_files()) {
    if (at_.state.quarantined.contains(name)) continue;
    const std::string text = store_.read_quarantine(name);
    event("recovery", {{"quarantine", name},
                       {"bytes", text.size()},
                       {"lines", split_lines(text).size()},
                       {"sha256", sha256_hex(text)}});
  }
}

// Without it the next start takes longer, and that is all: what was appended is on disk, so that a full disk
// or a failing token is no reason to say that it is not.
void Log::save_snapshot() {
  if (at_.state.size - at_.in_snapshot < settings_.snapshot_every) return;
  try {
    store_.write_snapshot(
        sign_snapshot({at_.state, at_.tree, at_.end, at_.written.peek()}, at_.key, *signer_));
    at_.in_snapshot = at_.state.size;
  } catch (const std::exception&) {
    return;
  }
}

std::string Log::new_txn() { return to_hex(settings_.random.bytes(kTxnSize)); }

Entry Log::make(const std::string& kind, Phase phase, const std::string& txn, encoding::Json data) const {
  Entry entry;
  entry.time = entry_time();
  entry.kind = kind;
  entry.phase = phase;
  entry.txn = txn;
  entry.software = settings_.software;
  entry.data = std::move(data);
  check_size(entry);
  return entry;
}

Txn Log::intent(const std::string& kind, encoding::Json data) {
  return intents(kind, {std::move(data)}).front();
}

std::vector<Txn> Log::intents(const std::string& kind, std::vector<encoding::Json> data) {
  check_clock();
  const std::string txn = new_txn();
  std::vector<Entry> entries;
  std::vector<Txn> out;
  for (encoding::Json& one : data) entries.push_back(make(kind, Phase::Intent, txn, std::move(one)));
  const std::uint64_t first = append(std::move(entries));
  for (std::size_t i = 0; i < data.size(); ++i) out.push_back({first + i, txn, kind});
  return out;
}

std::uint64_t Log::result(const Txn& txn, const std::string& outcome, encoding::Json data) {
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

void Log::wrapped(const std::vector<Txn>& txns, std::vector<encoding::Json> data) {
  std::vector<Entry> entries;
  for (std::size_t i = 0; i < txns.size(); ++i) {
    entries.push_back(make(txns[i].kind, Phase::Wrapped, txns[i].id, std::move(data.at(i))));
    entries.back().intent = txns[i].seq;
  }
  for (auto& part : by_txn(std::move(entries))) append(std::move(part));
}

std::uint64_t Log::event(const std::string& kind, encoding::Json data) {
  return events(kind, {std::move(data)}).front();
}

std::vector<std::uint64_t> Log::events(const std::string& kind, std::vector<encoding::Json> data) {
  check_clock();
  const std::string txn = new_txn();
  std::vector<Entry> entries;
  std::vector<std::uint64_t> out;
  for (encoding::Json& one : data) entries.push_back(make(kind, Phase::Event, txn, std::move(one)));
  const std::uint64_t first = conclude(std::move(entries));
  for (std::size_t i = 0; i < data.size(); ++i) out.push_back(first + i);
  return out;
}

std::uint64_t Log::rotate(const Txn& txn, tlog::Signer& next) {
  const tlog::VerifierKey key(at_.key.name(), next.type(), next.public_key());
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
    at_.tree.append(tlog::leaf_hash(view(line)));
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

// A token remembers one log. What is there is as old as what we wrote last, or older: a token may say that it
// stored something, and lose it.
void Log::renew_anchor() {
  if (!anchor_due_) return;
  with_context("the log's anchor could not be renewed", [&] {
    const auto found = settings_.anchor->read();
    const bool ours = !found || (anchor_ && (found->size < anchor_->size || *found == *anchor_));
    if (!ours)
      throw Error(ErrorKind::LogDamaged,
                  "the token remembers another log (anchor " + to_string(found) +
                      "): a copy of this home is in use too",
                  "stop all copies but the one whose log the token remembers ('qpcseal mek list')");
    anchor_ = {at_.checkpoint.size,
               at_.checkpoint.root};  // a token may say that it failed, and have stored it
    settings_.anchor->write(*anchor_);
  });
  anchor_due_ = false;
}

void Log::prepare(bool done) {
  if (settings_.before_append) settings_.before_append(done);
}

void Log::write(const std::string& lines, tlog::Signer* next) {
  store_.append(at_.end, lines);
  at_.end += lines.size();
  at_.written.update(view(lines));
  if (next != nullptr) {
    signer_ = next;
    at_.key = tlog::VerifierKey(at_.key.name(), next->type(), next->public_key());
  }
  at_.checkpoint = {at_.tree.size(), at_.tree.root()};
  at_.note = tlog::sign_checkpoint(at_.checkpoint, at_.key, *signer_);
  store_.publish(at_.note);
}

std::uint64_t Log::append(std::vector<Entry> entries, tlog::Signer* next) {
  if (broken_)
    throw AppendError(Appended::Nothing,
                      {ErrorKind::Io, "the audit log could not be written; nothing more is done"});
  if (!at_.note.empty() && store_.read_checkpoint() != at_.note)
    throw Error(ErrorKind::LogDamaged, "the audit log's checkpoint changed while this command ran");
  try {
    renew_anchor();  // the anchor may lag one append, not two
    prepare(std::ranges::any_of(entries, [](const Entry& entry) { return entry.outcome == "ok"; }));
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
  anchor_due_ = settings_.anchor != nullptr && (anchored_ || at_.state.site.anchor);
  try {
    renew_anchor();
  } catch (...) {
    throw AppendError(Appended::Durable, current_error());
  }
  save_snapshot();
  return first;
}

// What is in the log is done: a failure behind it is noted, and does not make the act fail.
std::uint64_t Log::conclude(std::vector<Entry> entries, tlog::Signer* next) {
  const std::uint64_t first = at_.state.size, last = first + entries.size() - 1;
  try {
    append(std::move(entries), next);
  } catch (const AppendError& error) {
    if (error.appended() != Appended::Durable || settings_.status == nullptr) throw;
    settings_.status->faults.emplace_back(error.what());
  }
  if (settings_.status != nullptr) {
    settings_.status->acted = true;
    settings_.status->last_entry = last;
  }
  return first;
}

}  // namespace qpcseal::audit
