// The log, open to append. Each append is on disk, under a checkpoint signed in the token, before it returns:
// lines, fdatasync, sign, checkpoint by rename, anchor.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "appliance/audit/anchor.h"
#include "appliance/audit/read.h"
#include "base/random.h"

namespace qpcseal::audit {

struct LogSettings {
  std::filesystem::path folder;
  const Clock& clock;
  Random& random;
  std::string software;      // e.g. "qpcseal 0.1.0"
  Anchor* anchor = nullptr;  // none where the token keeps no data objects
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
  // Verifies the whole, holds it against the anchor, moves lines that no checkpoint covers to quarantine and
  // records that. Error{LogDamaged}; Error{Denied} where the clock is more than 300 s behind the log.
  static Log open(const LogSettings& settings, Signer& signer);

  [[nodiscard]] const State& state() const { return copy_.state; }
  [[nodiscard]] const Tree& tree() const { return copy_.tree; }
  [[nodiscard]] const std::string& checkpoint() const { return copy_.note; }

  // All of one call share a transaction and a checkpoint. The numbers of the entries come back.
  Txn intent(const std::string& kind, Json data);
  std::vector<Txn> intents(const std::string& kind, std::vector<Json> data);
  std::uint64_t result(const Txn& txn, const std::string& outcome, Json data);
  std::vector<std::uint64_t> results(std::vector<Outcome> outcomes);
  std::uint64_t event(const std::string& kind, Json data);
  std::vector<std::uint64_t> events(const std::string& kind, std::vector<Json> data);

 private:
  Log(const LogSettings& settings, Signer& signer, Store store, LogCopy copy)
      : settings_(settings), signer_(&signer), store_(std::move(store)), copy_(std::move(copy)) {}
  std::uint64_t append(std::vector<Entry> entries);
  Entry make(const std::string& kind, Phase phase, const std::string& txn, Json data) const;
  std::string new_txn();
  [[nodiscard]] bool is_last_append(std::uint64_t first) const;
  void check_anchor();
  void recover();

  LogSettings settings_;
  Signer* signer_;
  Store store_;
  LogCopy copy_;
  bool broken_ = false;  // an append failed half way: nothing more may be written
};

}  // namespace qpcseal::audit
