// The log, open to append. Each append is on disk, under a checkpoint signed in the token, before it returns:
// lines, fdatasync, sign, checkpoint by rename, anchor.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "appliance/audit/anchor.h"
#include "appliance/audit/position.h"
#include "base/random.h"

namespace qpcseal::audit {

struct LogSettings {
  std::filesystem::path folder;
  const Clock& clock;
  Random& random;
  std::string software;      // e.g. "qpcseal 0.1.0"
  Anchor* anchor = nullptr;  // none where the token keeps no data objects
  // A snapshot is written once so many entries are not in the last one.
  std::uint64_t snapshot_every = 1024;
};

struct Txn {
  std::uint64_t seq = 0;  // of the intent
  std::string id, kind;
};

struct Outcome {
  Txn txn;
  std::string outcome;  // "ok", "denied", "failed", "unknown"
  Json data = Json::object();
};

class Log {
 public:
  // A new log with its genesis entry, whose data gets "log_key" from `signer` and `origin`. Error{Io} where
  // one exists.
  static Log create(const LogSettings& settings, Signer& signer, const std::string& origin, Json genesis);
  // Verifies the whole (a snapshot spares the replay, not the digest of what it covers), holds it against the
  // anchor, moves lines that no checkpoint covers to quarantine and records that. Error{LogDamaged};
  // Error{Denied} where the clock is more than 300 s behind the log.
  static Log open(const LogSettings& settings, Signer& signer);

  [[nodiscard]] const State& state() const { return at_.state; }
  // Whole, for proofs and earlier roots; where a snapshot spared the replay this reads the entries anew.
  [[nodiscard]] const Tree& tree() const;
  [[nodiscard]] const std::string& checkpoint() const { return at_.note; }
  [[nodiscard]] const VerifierKey& key() const { return at_.key; }

  // All of one call share a transaction and a checkpoint, but for results and wrapped entries of intents of
  // several transactions: those are one append each, in their order. The numbers of the entries come back.
  Txn intent(const std::string& kind, Json data);
  std::vector<Txn> intents(const std::string& kind, std::vector<Json> data);
  std::uint64_t result(const Txn& txn, const std::string& outcome, Json data);
  std::vector<std::uint64_t> results(std::vector<Outcome> outcomes);
  // A key is wrapped for each of these intents (`data`, in their order): the last entry before it leaves.
  void wrapped(const std::vector<Txn>& txns, std::vector<Json> data);
  std::uint64_t event(const std::string& kind, Json data);
  std::vector<std::uint64_t> events(const std::string& kind, std::vector<Json> data);

  // The result of the intent `txn` of kind rotate-key: the log's key signs `next`, whose signer must outlive
  // the log; the checkpoint that covers the entry is signed by it already.
  std::uint64_t rotate(const Txn& txn, Signer& next);

 private:
  Log(const LogSettings& settings, Signer& signer, Store store, Position at)
      : settings_(settings), signer_(&signer), store_(std::move(store)), at_(std::move(at)) {}
  std::uint64_t append(std::vector<Entry> entries, Signer* next = nullptr);
  void append_by_txn(std::vector<Entry> entries);
  std::string add(std::vector<Entry>& entries);
  Entry make(const std::string& kind, Phase phase, const std::string& txn, Json data) const;
  std::string new_txn();
  void check_anchor(const std::optional<AnchorState>& anchor);
  void recover();
  void save_snapshot();

  LogSettings settings_;
  Signer* signer_;
  Store store_;
  Position at_;
  mutable std::optional<Tree> whole_;  // where at_.tree is not, once it was asked for
  bool broken_ = false;                // an append failed half way: nothing more may be written
};

}  // namespace qpcseal::audit
