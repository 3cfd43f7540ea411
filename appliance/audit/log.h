// SPDX-License-Identifier: Apache-2.0
// The log, open to append. Each append is on disk, under a checkpoint signed in the token, before it returns:
// lines, fdatasync, sign, checkpoint by rename, anchor.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "appliance/audit/anchor.h"
#include "appliance/audit/position.h"
#include "base/error.h"
#include "base/random.h"

namespace qpcseal::audit {

// How far a failed append came. The checkpoint on disk decides.
enum class Appended {
  Nothing,  // no checkpoint covers it: its lines, if any, go to quarantine at the next start
  Unknown,  // the checkpoint cannot be read back
  Durable,  // the checkpoint covers it; the sync of the log's folder, or the anchor, failed behind it
};

// A failed append, of the kind of its cause.
class AppendError : public Error {
 public:
  AppendError(Appended appended, const Error& cause) : Error(cause), appended_(appended) {}
  [[nodiscard]] Appended appended() const noexcept { return appended_; }

 private:
  Appended appended_;
};

// What a command's appends came to: for the program's exit code.
struct AppendStatus {
  bool acted = false;                       // a result or an event is in the log
  std::optional<std::uint64_t> last_entry;  // of those: the last one's number
  std::vector<std::string> faults;          // what failed behind entries that are in the log
};

inline constexpr std::uint64_t kSnapshotEvery = 1024;  // entries

struct LogSettings {
  std::filesystem::path dir;
  const Clock& clock;
  Random& random;
  std::string software;      // e.g. "qpcseal 0.2.0"
  Anchor* anchor = nullptr;  // none where the token keeps no data objects
  // A snapshot is written once so many entries are not in the last one.
  std::uint64_t snapshot_every = kSnapshotEvery;
  // Where a Durable failure of a result or an event is noted: the call then returns as if it had not been.
  // Without it AppendError{Durable} is thrown.
  AppendStatus* status = nullptr;
  // Is called before each append, with true where an entry says that an act is done ("ok"): what it says is
  // brought to the disk first. An exception ends the append before anything is written.
  std::function<void(bool done)> before_append = {};
};

struct Txn {
  std::uint64_t seq = 0;  // of the intent
  std::string id, kind;
};

struct Outcome {
  Txn txn;
  std::string outcome;  // "ok", "denied", "failed", "unknown"
  encoding::Json data = encoding::Json::object();
};

// Whether the clock is further ahead of the last entry than the site's facts allow.
[[nodiscard]] bool runs_ahead(const State& state, UnixTime now);
// Error{Denied} where `now` lies before the last entry (by more than 300 s) or this program's sources, or
// further on than the site's days.
void check_clock(const State& state, UnixTime now);
// Error{Usage} where `now` is not before the last entry, so that there is nothing to correct; Error{Denied}
// where it lies before this program's sources.
void refuse_correction(const State& state, UnixTime now);
// Why officers would have to accept the anchor of the token; empty where they need not. Error{LogDamaged} for
// one that nobody may accept: the log was rolled back, or is another.
std::string old_anchor(const LogCursor& at, const std::optional<AnchorState>& anchor);

// What Log::open() does about an anchor that is gone, or older than one append: OldAnchor::Accept leaves the
// log unchanged until accept_anchor().
enum class OldAnchor { Refuse, Accept };

class Log {
 public:
  // A new log with its genesis entry, whose data gets "log_key" from `signer` and `origin`. Error{Io} where
  // one exists.
  static Log create(const LogSettings& settings, tlog::Signer& signer, const std::string& origin,
                    encoding::Json genesis);
  // Verifies the whole (a snapshot spares the replay, not the digest of what it covers), holds it against the
  // anchor, moves lines that no checkpoint covers to quarantine and records that. The clock matters only when
  // something is appended. Error{LogDamaged}.
  static Log open(const LogSettings& settings, tlog::Signer& signer);
  // The same from `at`, which find_position() gave for this folder under the lock that is still held.
  static Log open(const LogSettings& settings, tlog::Signer& signer, LogCursor at,
                  OldAnchor old = OldAnchor::Refuse);

  [[nodiscard]] const State& state() const { return at_.state; }
  // Whole, for proofs and earlier roots; where a snapshot spared the replay this reads the entries anew.
  [[nodiscard]] const tlog::Tree& tree() const;
  [[nodiscard]] const std::string& checkpoint() const { return at_.note; }
  [[nodiscard]] const tlog::VerifierKey& key() const { return at_.key; }

  // Whether open() found an anchor that officers have to accept; what it is, if it is there.
  [[nodiscard]] bool has_old_anchor() const { return old_anchor_; }
  [[nodiscard]] const std::optional<AnchorState>& anchor() const { return anchor_; }
  // The event anchor-accept, after which the log is as after any open(). `approval` may be null.
  void accept_anchor(const encoding::Json& approval);

  // Beside the site's days: from `limit` on the clock must be confirmed. `what` ends there, for the error.
  void limit_clock(UnixTime limit, const std::string& what);
  // Error{Denied} where the clock lies before the last entry (by more than 300 s) or this program's sources,
  // or further on than the site's days or the limit without confirmation. Each intent and each event checks
  // that.
  void check_clock() const;
  // Whether the clock is further ahead of the last entry than the site's facts allow.
  [[nodiscard]] bool runs_ahead() const;
  // Somebody typed today's date: the event `clock`, where check_clock() would ask for it.
  void confirm_clock();
  // The event clock-correct: time goes on from the clock, which must lie before the last entry. Error{Usage}
  // where it does not. `approval` may be null.
  void correct_clock(const encoding::Json& approval);

  // All of one call share a transaction and a checkpoint, but for results and wrapped entries of intents of
  // several transactions: those are one append each, in their order. The numbers of the entries come back.
  // AppendError: the entries are not in the log, or it is not known (Appended), and no further append is
  // possible. An intent or a wrapped entry throws it for Durable too: its act does not go on. After a failure
  // of the anchor alone the log goes on: the next append renews the anchor first.
  Txn intent(const std::string& kind, encoding::Json data);
  std::vector<Txn> intents(const std::string& kind, std::vector<encoding::Json> data);
  std::uint64_t result(const Txn& txn, const std::string& outcome, encoding::Json data);
  std::vector<std::uint64_t> results(std::vector<Outcome> outcomes);
  // A key is wrapped for each of these intents (`data`, in their order): the last entry before it leaves.
  void wrapped(const std::vector<Txn>& txns, std::vector<encoding::Json> data);
  std::uint64_t event(const std::string& kind, encoding::Json data);
  std::vector<std::uint64_t> events(const std::string& kind, std::vector<encoding::Json> data);

  // Brings to the disk what an entry "ok" is about to say (LogSettings::before_append), while the act can
  // still be undone. Each append does it too.
  void prepare_ok() { prepare(true); }

  // The result of the intent `txn` of kind rotate-key: the log's key signs `next`, whose signer must outlive
  // the log; the checkpoint that covers the entry is signed by it already.
  std::uint64_t rotate(const Txn& txn, tlog::Signer& next);

 private:
  Log(const LogSettings& settings, tlog::Signer& signer, Store store, LogCursor at)
      : settings_(settings), signer_(&signer), store_(std::move(store)), at_(std::move(at)) {}
  std::uint64_t append(std::vector<Entry> entries, tlog::Signer* next = nullptr);
  std::uint64_t conclude(std::vector<Entry> entries, tlog::Signer* next = nullptr);
  void write(const std::string& lines, tlog::Signer* next);
  [[nodiscard]] Appended look(const std::string& before) const noexcept;
  void renew_anchor();
  void prepare(bool done);
  std::string add(std::vector<Entry>& entries);
  Entry make(const std::string& kind, Phase phase, const std::string& txn, encoding::Json data) const;
  std::string new_txn();
  void check_anchor(OldAnchor old);
  void recover();
  [[nodiscard]] bool passes_limit() const;
  [[nodiscard]] UnixTime entry_time() const;
  void save_snapshot();

  LogSettings settings_;
  tlog::Signer* signer_;
  Store store_;
  LogCursor at_;
  std::optional<AnchorState> anchor_;  // as found, then as written
  bool anchored_ = false;              // the token has one
  bool old_anchor_ = false;
  UnixTime clock_limit_ = INT64_MAX;
  std::string clock_limit_of_;
  unsigned held_ = 0;  // HeldClock objects
  friend class HeldClock;
  mutable std::optional<tlog::Tree> whole_;  // where at_.tree is not, once it was asked for
  bool broken_ = false;                      // an append failed half way: nothing more may be written
  bool anchor_due_ = false;                  // the anchor is one append behind
};

// While one lives, entries are written whatever the clock says: what recovers an interrupted run, and what
// only stops a key. Where the clock cannot be believed, they have the time of the entry before.
class HeldClock {
 public:
  explicit HeldClock(Log& log) : log_(log) { ++log_.held_; }
  ~HeldClock() { --log_.held_; }
  HeldClock(const HeldClock&) = delete;
  HeldClock& operator=(const HeldClock&) = delete;

 private:
  Log& log_;
};

}  // namespace qpcseal::audit
