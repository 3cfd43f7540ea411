// SPDX-License-Identifier: Apache-2.0
#include "appliance/vendor/known_outputs.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"

namespace qpcseal::vendor {

namespace {

using encoding::Json;
using encoding::text_member;

constexpr std::size_t kMaxInputs = 1024;

}  // namespace

KnownOutputs::KnownOutputs(const audit::LogCopy& log) {
  std::map<std::uint64_t, Json> runs;
  std::map<std::string, std::string> cards;  // ueids by a report's SHA-256
  log.each([&](std::uint64_t, std::string_view line) {
    const audit::Entry entry = audit::parse_entry(line);
    const bool ours = entry.kind == "mek-expose";
    if (entry.kind == "release" && entry.phase == audit::Phase::Intent)
      cards[text_member(entry.data, "report_sha256")] = text_member(entry.data, "ueid");
    if (ours && entry.phase == audit::Phase::Intent) runs.emplace(entry.seq, entry.data);
    if (!ours || entry.phase != audit::Phase::Result || entry.outcome != "ok") return;
    const Json& run = runs.at(entry.intent.value());
    KnownRun known{entry.seq, text_member(run, "mek_id"), {}, {}};
    for (const Json& report : encoding::member(run, "reports")) known.ueids.insert(cards.at(report));
    for (const Json& output : encoding::member(entry.data, "outputs"))
      known.files.insert(text_member(output, "sha256"));
    add(std::move(known), text_member(run, "act") == "encrypt-with-session-keys");
  });
}

void KnownOutputs::add(KnownRun run, bool bound_further) {
  const std::size_t here = runs_.size();
  for (const std::string& file : run.files) {
    std::vector<std::size_t>& first = first_[file];
    const auto before =
        std::ranges::find_if(first, [&](std::size_t at) { return runs_[at].mek_id == run.mek_id; });
    if (before == first.end())
      first.push_back(here);
    else if (bound_further)
      run.ueids.insert(runs_[*before].ueids.begin(), runs_[*before].ueids.end());
  }
  runs_.push_back(std::move(run));
}

namespace {

Error not_made_here(const std::string& what) {
  return {ErrorKind::Denied, what, "only what was made here, as it was made here, is bound here"};
}

}  // namespace

std::vector<std::string> KnownOutputs::known_digests(const std::filesystem::path& place) const {
  std::vector<std::string> out;
  for (const std::string& name : files_in(place)) {
    const auto path = name.empty() ? place : place / name;
    out.push_back(digest_of_file(path, name).sha256);
    if (!first_.contains(out.back()))
      throw not_made_here(path.string() + ": no run of the vendor's tool in this appliance's log made it");
  }
  return out;
}

void KnownOutputs::require_known(const std::filesystem::path& place) const {
  static_cast<void>(known_digests(place));
}

std::vector<KnownRun> KnownOutputs::runs_of(const std::filesystem::path& place) const {
  std::vector<KnownRun> out = runs_;
  for (const std::string& sha256 : known_digests(place))
    std::erase_if(out, [&](const KnownRun& run) { return !run.files.contains(sha256); });
  if (out.empty())
    throw not_made_here(place.string() + ": no one run of the vendor's tool made all of its files");
  return out;
}

std::vector<std::string> files_in(const std::filesystem::path& place) {
  if (!std::filesystem::is_directory(std::filesystem::symlink_status(place))) {
    static_cast<void>(open_to_read(place));
    return {""};
  }
  std::vector<std::string> out;
  for (auto at = std::filesystem::recursive_directory_iterator(place);
       at != std::filesystem::recursive_directory_iterator(); ++at) {
    const auto status = at->symlink_status();
    if (std::filesystem::is_directory(status) && at.depth() < 3) continue;
    if (!std::filesystem::is_regular_file(status) || out.size() == kMaxInputs)
      throw Error(ErrorKind::Io, at->path().string() + " is no file of a folder that the vendor's tool made");
    out.push_back(std::filesystem::relative(at->path(), place));
  }
  if (out.empty()) throw Error(ErrorKind::Io, place.string() + " holds no files");
  std::ranges::sort(out);
  return out;
}

}  // namespace qpcseal::vendor
