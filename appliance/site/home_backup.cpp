// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/home_backup.h"

#include <algorithm>

#include "appliance/site/home_swap.h"
#include "appliance/site/seen_checkpoints.h"
#include "base/error.h"
#include "base/text_file.h"
#include "encoding/tar.h"

namespace qpcseal::site {

namespace {

using std::filesystem::path;

constexpr std::size_t kMaxJudged = std::size_t{16} << 20;  // bytes, of a file that is looked into
constexpr std::size_t kAsideBytes = 4;                     // random, of a name that is not taken
constexpr const char *kEntriesName = "log/entries.jsonl", *kCheckpointName = "log/checkpoint";

std::string digest_of(const Fd& file) {
  Sha256 digest;
  encoding::read_pieces(file, 0, file_size(file), [&](ByteView piece) { digest.update(piece); });
  return to_hex(digest.finish());
}

HomeFile described(const std::string& name, std::string_view content) {
  return {name, content.size(), sha256_hex(content)};
}

// As they were verified: each() holds every line against its leaf.
HomeFile described_entries(const audit::LogCopy& log) {
  Sha256 digest;
  log.each([&](std::uint64_t, std::string_view line) {
    digest.update(view(line));
    digest.update(view("\n"));
  });
  return {kEntriesName, log.lines.size(), to_hex(digest.finish())};
}

// Lines behind the checkpoint were never acknowledged: they are not in it.
std::vector<HomeFile> files_of(const Home& home, const audit::LogCopy& log) {
  std::vector<HomeFile> out{described_entries(log), described(kCheckpointName, log.note)};
  for (const auto& item : std::filesystem::recursive_directory_iterator(home.root)) {
    const std::string name = item.path().lexically_relative(home.root);
    if (!file_kind(name) || name == kEntriesName || name == kCheckpointName) continue;
    const Fd file = open_to_read(item.path());
    out.push_back({name, file_size(file), digest_of(file)});
  }
  return out;
}

void require_whole(const Vouching& judged, ErrorKind kind, const std::string& hint) {
  if (judged.missing.empty()) return;
  std::string names;
  for (const std::string& name : judged.missing) names += (names.empty() ? "" : ", ") + name;
  throw Error(kind, "what the log says is not there: " + names, hint);
}

void write_archive(const Home& home, const audit::LogCopy& log, const HomeManifest& manifest, const Fd& out) {
  encoding::TarWriter archive(out);
  archive.add("manifest.json", view(encode_manifest(manifest)));
  for (const HomeFile& file : manifest.files) {
    if (file.name == kCheckpointName) {
      archive.add(file.name, view(log.note));
      continue;
    }
    const Fd opened = file.name == kEntriesName ? Fd() : open_to_read(home.root / file.name);
    const Fd& from = file.name == kEntriesName ? log.lines.file() : opened;
    if (to_hex(archive.add(file.name, from, file.size)) != file.sha256)
      throw Error(ErrorKind::Io, file.name + " changed while it was read");
  }
  archive.finish();
}

Error refuse_loss(const std::string& why, const std::string& file) {
  return {
      ErrorKind::LogDamaged, "the audit log would be rolled back: " + why,
      "nothing in " + file +
          " is worth the entries that would be lost. Keep this home; where it is beyond repair, move it away "
          "yourself (its folder tokens/ is the embedded token), restore into an empty one, and let the "
          "officers decide about the token's anchor"};
}

bool begins_with(const Fd& lines, const audit::LogCopy& log) {
  std::uint64_t at = 0;
  bool same = true;
  log.each(0, log.lines.count(), [&](std::uint64_t, std::string_view line) {
    Bytes here(line.size() + 1);
    read_exact(lines, here, at);
    at += here.size();
    same = text_view(here).substr(0, line.size()) == line && here.back() == '\n';
    return same;
  });
  return same;
}

// How much of a log that does not verify was signed: by a checkpoint of one of the backup's keys, or by lines
// that go on from the backup's.
void refuse_loss_of_damaged(const Home& home, const audit::LogCopy& log, const std::string& file) {
  const path checkpoint = home.log() / "checkpoint", entries = home.log() / "entries.jsonl";
  if (std::filesystem::is_regular_file(checkpoint)) {
    const std::string note = read_plain_text(checkpoint, tlog::kMaxCheckpointSize);
    if (const auto size = size_signed_by(log.state, note); size && *size > log.checkpoint.size)
      throw refuse_loss("the home's checkpoint has " + std::to_string(*size) + " entries, the backup " +
                            std::to_string(log.checkpoint.size),
                        file);
  }
  if (!std::filesystem::is_regular_file(entries)) return;
  const Fd lines = open_to_read(entries);
  if (file_size(lines) > log.lines.size() && begins_with(lines, log))
    throw refuse_loss("the home has entries behind the " + std::to_string(log.checkpoint.size) +
                          " of the backup, and no checkpoint for them",
                      file);
}

// The home's log must be the beginning of the backup's.
void refuse_older(const Home& home, const audit::LogCopy& log, const std::string& file) {
  if (!has_state(home)) return;
  std::optional<audit::LogCopy> here;
  try {
    here = audit::read_log(home.log(), std::nullopt, audit::Check::Proofs);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Internal) throw;
    refuse_loss_of_damaged(home, log, file);
    return;
  }
  if (here->checkpoint.size > log.checkpoint.size)
    throw refuse_loss("it has " + std::to_string(here->checkpoint.size) + " entries here, " +
                          std::to_string(log.checkpoint.size) + " in the backup",
                      file);
  if (log.tree.root(here->checkpoint.size) != here->checkpoint.root)
    throw refuse_loss("the backup's log does not go on from the " + std::to_string(here->checkpoint.size) +
                          " entries here: one of them is another appliance's, or was rewritten",
                      file);
}

void put_in_place(const Environment& environment, const CheckedBackup& checked, const RestoreOptions& options,
                  Restored& out) {
  const Home& home = environment.home;
  settle_restore(home);
  if (has_state(home) && !options.replace)
    throw Error(ErrorKind::Io, home.root.string() + " holds an appliance already",
                "--force sets its state aside; a token under it stays");
  refuse_older(home, checked.log, options.file.string());
  with_context(options.file.string(), [&] { check_witnesses(home, checked.log); });
  out.new_site = !std::filesystem::exists(home.site());
  const std::string aside = "before-restore-" + format_time(environment.clock.now()) + "-" +
                            to_hex(environment.random.bytes(kAsideBytes));
  const bool kept = swap_state(home, aside, [&](const path& dir) {
    checked.archive.unpack(dir);
    if (out.new_site) write_file(dir / "site.toml", view(out.site.text(home)), Existing::Refuse, 0600);
  });
  if (kept) out.aside = home.root / aside;
}

}  // namespace

Backup back_up(const Environment& environment, const path& output, Existing existing) {
  const Home& home = environment.home;
  const auto lock = audit::lock_to_read(home.lock(), environment.lock_timeout, environment.on_wait);
  settle_restore(home);
  const audit::LogCopy log = audit::read_log(home.log(), std::nullopt);
  check_witnesses(home, log);
  Vouching judged = vouch(log, files_of(home, log),
                          [&](const HomeFile& file) { return read_file(home.root / file.name, kMaxJudged); });
  require_whole(judged, ErrorKind::Denied,
                "the home has lost it, or it was changed: put it back from an earlier backup");
  Backup out{{"qpcseal " + std::string(software_version()), environment.clock.now(), log.checkpoint.size,
              to_hex(log.checkpoint.root), std::move(judged.vouched)},
             std::move(judged.unvouched)};
  AtomicFile file(output, existing, 0600);
  write_archive(home, log, out.manifest, file.fd());
  file.commit();
  return out;
}

CheckedBackup check_backup(const path& file, const std::optional<tlog::VerifierKey>& key) {
  return with_context(file.string(), [&] {
    HomeArchive archive(file);
    const HomeArchive::Place entries = archive.place(kEntriesName);
    audit::LogCopy log =
        audit::read_log(archive.reopen(), entries.offset, entries.size, archive.text(kCheckpointName), key);
    const HomeManifest& manifest = archive.manifest();
    if (log.checkpoint.size != manifest.log_size || to_hex(log.checkpoint.root) != manifest.log_root ||
        !log.tail.empty())
      throw Error(ErrorKind::Malformed, "its log is not the one that the manifest names");
    const Vouching judged = vouch(log, manifest.files, [&](const HomeFile& one) {
      if (one.size > kMaxJudged) throw Error(ErrorKind::Malformed, "larger than any such file");
      return archive.read(one);
    });
    require_whole(judged, ErrorKind::Malformed, "");
    if (!judged.unvouched.empty())
      throw Error(ErrorKind::Malformed, "nothing in the log vouches for " + judged.unvouched.front(),
                  "somebody put it there: use another copy of this backup");
    return CheckedBackup{std::move(archive), std::move(log)};
  });
}

Restored restore(const Environment& environment, const RestoreOptions& options) {
  const Home& home = environment.home;
  const CheckedBackup checked = check_backup(options.file, options.key);
  Restored out;
  out.manifest = checked.archive.manifest();
  out.site = site_for(home, checked.log.state, options.machine);
  out.module_sha256 = module_sha256(out.site);
  out.pinned_sha256 = pinned_sha256(checked.log.state);
  const bool existed = std::filesystem::exists(home.root);
  std::filesystem::create_directories(home.root.parent_path());
  if (!std::filesystem::is_directory(home.root)) make_folder(home.root);
  const audit::Lock lock(home.lock(), environment.lock_timeout, environment.on_wait);
  try {
    put_in_place(environment, checked, options, out);
  } catch (...) {
    std::error_code ignored;
    if (!existed && std::filesystem::remove(home.lock(), ignored))
      std::filesystem::remove(home.root, ignored);
    throw;
  }
  return out;
}

}  // namespace qpcseal::site
