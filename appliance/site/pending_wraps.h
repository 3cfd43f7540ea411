// SPDX-License-Identifier: Apache-2.0
// Wrapped MEKs of open releases, kept in the home from their `wrapped` entries until the log has the results.
// A run that was cut short goes on with the same ones and wraps for no challenge twice. The entry is written
// first: a copy without an entry could leave uncounted. The file is not signed, so a copy is compared with
// its entry before it is used.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "appliance/audit/state.h"
#include "appliance/keys/wrap.h"
#include "appliance/site/home.h"
#include "base/digest.h"
#include "base/file.h"

namespace qpcseal::site {

class PendingWraps {
 public:
  // The copies of releases that are still open.
  PendingWraps(const Home& home, const audit::State& state);
  // Removes what a run left that was killed between its results and drop(). A file that cannot be read or
  // written stays: it is of no open release, or the release says so.
  static void forget_closed(const Home& home, const audit::State& state) noexcept;

  // Null: none was made for this report.
  [[nodiscard]] const keys::WrappedMek* find(const Sha256Digest& report) const;
  // Reserves the space for these in the home, and writes nothing. Error{Io}: the disk is full.
  void prepare(const std::map<Sha256Digest, keys::WrappedMek>& wraps);
  // Writes what was prepared; behind the `wrapped` entries. Where it cannot be written the release goes on: a
  // run that is cut short then cannot be taken up, and its output is lost.
  void keep() noexcept;
  // Forgets these, whose results are in the log. A file that cannot be removed does no harm.
  void drop(const std::map<Sha256Digest, keys::WrappedMek>& wraps) noexcept;

 private:
  [[nodiscard]] std::string text() const;
  void write() const;
  std::filesystem::path path_;
  bool has_closed_ = false;  // the file has wraps of releases that are open no more
  std::optional<AtomicFile> prepared_;
  std::map<std::string, keys::WrappedMek> wraps_;  // by the report's SHA-256, hex
};

}  // namespace qpcseal::site
