// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/pending_wraps.h"

#include <set>

#include "base/error.h"
#include "base/file_set.h"
#include "encoding/json.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

constexpr std::size_t kMaxFile = std::size_t{64} << 20;  // bytes

Json as_json(const keys::WrappedMek& wrap) {
  return {{"suite", static_cast<unsigned>(wrap.suite)},
          {"encrypt", to_base64(wrap.encrypt)},
          {"nonce", to_base64(wrap.nonce)},
          {"pub", to_base64(wrap.pub)}};
}

keys::WrappedMek wrap_of(const Json& json) {
  const auto suite = keys::suite_from(static_cast<unsigned>(encoding::uint_member(json, "suite")));
  if (!suite) throw Error(ErrorKind::Malformed, "an unknown suite");
  return {*suite, from_base64(encoding::text_member(json, "encrypt")),
          from_base64(encoding::text_member(json, "nonce")), from_base64(encoding::text_member(json, "pub"))};
}

std::set<std::string> open_reports(const audit::State& state) {
  std::set<std::string> out;
  for (const auto& [seq, intent] : state.open)
    if (intent.kind == "release") out.insert(encoding::text_member(intent.data, "report_sha256"));
  return out;
}

}  // namespace

PendingWraps::PendingWraps(const Home& home, const audit::State& state) : path_(home.pending()) {
  if (!std::filesystem::exists(path_)) return;
  const std::set<std::string> open = open_reports(state);
  try {
    const Bytes bytes = read_file(path_, kMaxFile);
    const Json json = encoding::parse_json(text_view(bytes), "wrapped MEKs");
    for (const auto& [report, wrap] : json.items()) {
      if (open.contains(report))
        wraps_.emplace(report, wrap_of(wrap));
      else
        has_closed_ = true;
    }
  } catch (const Error& error) {
    // A damaged file is as none: the releases whose keys it held say so, and others go on.
    if (error.kind() != ErrorKind::Malformed) throw;
    wraps_.clear();
    has_closed_ = true;
  }
}

void PendingWraps::forget_closed(const Home& home, const audit::State& state) noexcept {
  try {
    const PendingWraps left(home, state);
    if (left.has_closed_) left.write();
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the next start tries again
  }
}

const keys::WrappedMek* PendingWraps::find(const Sha256Digest& report) const {
  const auto found = wraps_.find(to_hex(report));
  return found == wraps_.end() ? nullptr : &found->second;
}

std::string PendingWraps::text() const {
  Json json = Json::object();
  for (const auto& [report, wrap] : wraps_) json[report] = as_json(wrap);
  return encoding::canonical(json);
}

void PendingWraps::write() const {
  if (wraps_.empty()) {
    std::filesystem::remove(path_);
    return;
  }
  write_file(path_, view(text()), Existing::Replace, 0600);
}

void PendingWraps::prepare(const std::map<Sha256Digest, keys::WrappedMek>& wraps) {
  for (const auto& [report, wrap] : wraps) wraps_.insert_or_assign(to_hex(report), wrap);
  prepared_.emplace(path_, Existing::Replace, 0600);
  with_context(path_.string(), [&] { reserve(prepared_->fd(), text().size()); });
}

void PendingWraps::keep() noexcept {
  try {
    write_exact(prepared_.value().fd(), view(text()), 0);
    prepared_->commit();
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): only a run that is cut short needs it
  }
  prepared_.reset();
}

void PendingWraps::drop(const std::map<Sha256Digest, keys::WrappedMek>& wraps) noexcept {
  try {
    for (const auto& [report, wrap] : wraps) wraps_.erase(to_hex(report));
    write();
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): of no open release, it is passed over
  }
}

}  // namespace qpcseal::site
