// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "appliance/audit/entry.h"
#include "base/bulk_file.h"
#include "base/error.h"
#include "base/retry.h"
#include "base/temporary.h"
#include "base/text_file.h"

namespace qpcseal::audit {

namespace {

constexpr std::string_view kQuarantine = "quarantine-";
constexpr std::size_t kMaxLog = std::size_t{16} << 30;      // bytes
constexpr std::size_t kMaxSnapshot = std::size_t{1} << 32;  // bytes
constexpr std::uint64_t kReadPiece = 1U << 18;              // bytes; stays in the cache until it is looked at

Fd open_to_append(const std::filesystem::path& path, int flags) {
  Fd fd(
      retry_interrupted([&] { return ::open(path.c_str(), flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600); }));
  if (!fd) throw_errno(path.string());
  return fd;
}

}  // namespace

Store Store::create(const std::filesystem::path& dir) {
  make_folder(dir);
  Store store(dir);
  store.entries_ = open_to_append(store.entries_path(), O_CREAT | O_EXCL);
  sync_folder(dir);
  return store;
}

Store Store::open(const std::filesystem::path& dir) {
  Store store(dir);
  store.entries_ = open_to_append(store.entries_path(), 0);
  remove_leftovers(dir);
  return store;
}

std::string Store::read_checkpoint() const {
  if (!std::filesystem::exists(folder_))
    throw Error(ErrorKind::Io, "no audit log at " + folder_.string(),
                "set QPCSEAL_HOME to the home of an appliance, or name the log's folder");
  if (!std::filesystem::exists(checkpoint_path()))
    throw Error(ErrorKind::LogDamaged,
                checkpoint_path().string() + " is missing: the log has no signed checkpoint");
  return read_plain_text(checkpoint_path(), tlog::kMaxCheckpointSize);
}

Fd Store::open_entries() const {
  Fd fd = qpcseal::open_to_read(entries_path());
  if (file_size(fd) > kMaxLog) throw Error(ErrorKind::Malformed, entries_path().string() + ": too large");
  return fd;
}

std::string Store::read_entries(std::uint64_t from) const {
  const Fd fd = open_entries();
  const std::uint64_t size = file_size(fd);
  std::string out(size > from ? size - from : 0, '\0');
  read_exact(fd, {reinterpret_cast<std::uint8_t*>(out.data()), out.size()}, from);
  return out;
}

std::uint64_t Store::each_line(const std::function<bool(std::string_view)>& take) const {
  const Fd fd = open_entries();
  return audit::each_line(fd, 0, file_size(fd), take);
}

PiecesDigest Store::digest_entries(std::uint64_t bytes) const {
  return PiecesDigest::of_file(open_entries(), bytes);
}

// Into large pages: of small ones a long log's snapshot takes thousands, one fault each.
std::optional<SharedBytes> Store::read_snapshot() const {
  if (!std::filesystem::exists(snapshot_path())) return std::nullopt;
  return with_context(snapshot_path().string(), [&] {
    const Fd file = qpcseal::open_to_read(snapshot_path());
    const std::uint64_t size = file_size(file);
    if (size > kMaxSnapshot) throw Error(ErrorKind::Malformed, "a snapshot of more than 4 GiB");
    const auto owner = std::make_shared<PageBuffer>(std::max<std::uint64_t>(size, 1));
    const MutableBytes bytes = owner->bytes().first(size);
    read_exact(file, bytes, 0);
    return SharedBytes{owner, bytes};
  });
}

void Store::write_snapshot(ByteView snapshot) {
  write_file(snapshot_path(), snapshot, Existing::Replace, 0600);
}

void Store::append(std::uint64_t end, std::string_view lines) {
  with_context(entries_path().string(), [&] {
    write_exact(entries_, view(lines), end);
    if (retry_interrupted([&] { return fdatasync(entries_.get()); }) != 0) throw_errno("fdatasync");
  });
}

void Store::publish(std::string_view checkpoint) {
  write_file(checkpoint_path(), view(checkpoint), Existing::Replace, 0600);
}

void Store::quarantine(std::uint64_t end, std::string_view tail) {
  constexpr std::size_t kDigits = 16;
  const std::string name = std::string(kQuarantine) + sha256_hex(tail).substr(0, kDigits) + ".jsonl";
  write_file(folder_ / name, view(tail), Existing::Replace, 0600);
  if (retry_interrupted([&] { return ftruncate(entries_.get(), static_cast<off_t>(end)); }) != 0)
    throw_errno(entries_path().string());
  sync_file(entries_, entries_path());
}

std::vector<std::string> Store::quarantine_files() const {
  std::vector<std::string> out;
  for (const auto& item : std::filesystem::directory_iterator(folder_)) {
    std::string name = item.path().filename().string();
    if (name.starts_with(kQuarantine)) out.push_back(std::move(name));
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string Store::read_quarantine(const std::string& name) const {
  return read_text_file(folder_ / name, kMaxLog);
}

std::uint64_t each_line(const Fd& fd, std::uint64_t from, std::uint64_t end,
                        const std::function<bool(std::string_view)>& take) {
  std::uint64_t taken = from;
  std::string piece;
  for (std::uint64_t at = from; at < end;) {
    const std::size_t kept = piece.size(), more = std::min(end - at, kReadPiece);
    piece.resize(kept + more);
    read_exact(fd, {reinterpret_cast<std::uint8_t*>(piece.data()) + kept, more}, at);
    at += more;
    std::string_view rest = piece;
    for (std::size_t feed = rest.find('\n'); feed != std::string_view::npos; feed = rest.find('\n')) {
      const std::string_view line = rest.substr(0, feed);
      rest.remove_prefix(feed + 1);
      taken += feed + 1;
      if (!take(line)) return taken;
    }
    if (rest.size() > kMaxEntrySize) throw Error(ErrorKind::Malformed, "a line too long for an entry");
    piece.erase(0, piece.size() - rest.size());
  }
  return taken;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> out;
  while (true) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return out;
    out.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
}

}  // namespace qpcseal::audit
