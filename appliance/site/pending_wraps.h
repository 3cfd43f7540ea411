// Wrapped MEKs on their way to cards: kept in the home from before anything is done with them until the log
// has the results, so that a run which was cut short goes on with the same ones and wraps for no challenge
// twice.
#pragma once

#include <map>
#include <string>

#include "appliance/audit/state.h"
#include "appliance/keys/wrap.h"
#include "appliance/site/home.h"
#include "base/digest.h"

namespace qpcseal::release {

class PendingWraps {
 public:
  // What runs left for releases that are open still.
  PendingWraps(const Home& home, const audit::State& state);
  // Removes what a run left that was killed between its results and drop(). A file that cannot be read or
  // written stays: it is of no open release, or the release says so.
  static void forget_closed(const Home& home, const audit::State& state) noexcept;

  // Null: none was made for this report.
  [[nodiscard]] const keys::WrappedMek* find(const Sha256Digest& report) const;
  [[nodiscard]] bool contains(const std::string& report) const { return wraps_.contains(report); }  // hex
  // On disk when it returns. Error{Io}.
  void keep(const std::map<Sha256Digest, keys::WrappedMek>& wraps);
  // Forgets these, whose results are in the log. A file that cannot be removed does no harm.
  void drop(const std::map<Sha256Digest, keys::WrappedMek>& wraps) noexcept;

 private:
  void write() const;
  std::filesystem::path path_;
  bool has_closed_ = false;                        // the file has wraps of releases that are open no more
  std::map<std::string, keys::WrappedMek> wraps_;  // by the report's SHA-256, hex
};

}  // namespace qpcseal::release
