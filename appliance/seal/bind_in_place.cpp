// SPDX-License-Identifier: Apache-2.0
// Binding in place, and what makes it safe (FORMAT.md section 2.5).
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "appliance/seal/bind.h"
#include "base/error.h"
#include "base/file_name.h"
#include "base/retry.h"

namespace qpcseal::seal {

namespace {

constexpr std::string_view kJournalMagic("QPCBIND\1", 8);
constexpr std::size_t kJournalId = 16, kDigest = 32;  // bytes
constexpr std::size_t kMaxJournal = std::size_t{4} << 20;

// The container, to be written to, and nobody else binding it.
Fd open_alone(const std::filesystem::path& path) {
  Fd fd(retry_interrupted([&] { return open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK); }));
  if (!fd) throw_errno(path.string());
  if (retry_interrupted([&] { return flock(fd.get(), LOCK_EX | LOCK_NB); }) == 0) return fd;
  if (errno == EWOULDBLOCK) throw Error(ErrorKind::Io, path.string() + " is being bound by another process");
  throw_errno(path.string());
}

struct stat status_of(const Fd& fd) {
  struct stat status{};
  if (fstat(fd.get(), &status) != 0) throw_errno("fstat");
  return status;
}

// A clone with the new slots takes the name, or where it `must`, a copy. False: the file system shares no
// bytes, or the file has other names.
bool replace_by_clone(const std::filesystem::path& path, const Fd& file, const std::vector<Binding>& bindings,
                      bool must, bool& begun) {
  const struct stat status = status_of(file);
  if (status.st_nlink != 1) return false;
  AtomicFile clone(path, Existing::Replace, status.st_mode & 07777U);
  if (must) {
    copy_whole(file, clone.fd(), static_cast<std::uint64_t>(status.st_size));
  } else if (!clone_whole(file, clone.fd())) {
    return false;
  }
  if (fchown(clone.fd().get(), status.st_uid, status.st_gid) != 0) {
    if (must) throw_errno(path.string());
    return false;
  }
  write_slots(clone.fd(), bindings);
  clone.sync();
  begun = true;
  clone.commit();
  return true;
}

Bytes encode_journal(const SealedTree& tree, const std::vector<Binding>& bindings) {
  Bytes out = copy(view(kJournalMagic));
  append(out, tree.root().manifest.seal_id);
  append(out, sha256(tree.root().container.manifest()));
  append_be(out, bindings.size(), 4);
  for (const Binding& binding : bindings) {
    append_be(out, binding.slot_page, 8);
    append(out, encode_slots(binding.slots));
  }
  append(out, sha256(out));
  return out;
}

std::vector<Binding> read_bindings(ByteReader& reader) {
  std::vector<Binding> out;
  const std::uint64_t count = reader.be(4);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t position = reader.be(8);
    auto slots = parse_slots(reader.take(kPageSize));
    if (!slots) throw Error(ErrorKind::Malformed, "a binding that binds nothing");
    out.push_back({position, std::move(*slots)});
  }
  return out;
}

// Only pages of this container's slots, of this container.
std::vector<Binding> parse_journal(ByteView bytes, const SealedTree& tree) {
  if (bytes.size() < kDigest || !equal(sha256(bytes.first(bytes.size() - kDigest)), bytes.last(kDigest)))
    throw Error(ErrorKind::Malformed, "not a journal of a binding");
  ByteReader reader(bytes.first(bytes.size() - kDigest), "journal");
  if (text_view(reader.take(kJournalMagic.size())) != kJournalMagic)
    throw Error(ErrorKind::Malformed, "not a journal");
  const Bytes seal_id = copy(reader.take(kJournalId)), manifest = copy(reader.take(kDigest));
  std::vector<Binding> out = read_bindings(reader);
  reader.expect_end();
  bool ours =
      seal_id == tree.root().manifest.seal_id && equal(manifest, sha256(tree.root().container.manifest()));
  const auto loads = tree.loads();
  for (const Binding& binding : out)
    ours = ours && std::any_of(loads.begin(), loads.end(),
                               [&](const SealedNode* n) { return n->slot_page() == binding.slot_page; });
  if (!ours)
    throw Error(ErrorKind::Malformed, "the journal of another container's binding",
                "remove it if it is not needed");
  return out;
}

void write_synced(const Fd& file, const std::vector<Binding>& bindings) {
  write_slots(file, bindings);
  if (retry_interrupted([&] { return fdatasync(file.get()); }) != 0) throw_errno("fdatasync");
}

void remove_journal(const std::filesystem::path& path) {
  const std::filesystem::path journal = journal_path(path);
  if (unlink(journal.c_str()) != 0) throw_errno(journal.string());
  sync_folder(journal.parent_path());
}

}  // namespace

std::filesystem::path journal_path(const std::filesystem::path& path) {
  return parent_dir(path) / ("." + path.filename().string() + ".rebind");
}

bool finish_binding(const std::filesystem::path& path) {
  const std::filesystem::path journal = journal_path(path);
  if (!is_name_taken(journal)) return false;
  const Fd file = open_alone(path);
  const SealedTree tree = SealedTree::read(file);
  const std::vector<Binding> bindings =
      with_context(journal.string(), [&] { return parse_journal(read_file(journal, kMaxJournal), tree); });
  write_synced(file, bindings);
  remove_journal(path);
  return true;
}

void bind_in_place(const std::filesystem::path& path, const SealedTree& tree,
                   const std::vector<Binding>& bindings, bool& begun) {
  const Fd file = open_alone(path);
  const SealedTree now = SealedTree::read(file);
  if (now.root().container.manifest() != tree.root().container.manifest())
    throw Error(ErrorKind::Io, path.string() + " was replaced meanwhile");
  const bool several = bindings.size() > 1;
  if (replace_by_clone(path, file, bindings, several, begun)) return;
  if (several)
    throw Error(ErrorKind::Io, path.string() + " has several partitions and other names (hard links)",
                "bind it into another folder (--output-dir)");
  AtomicFile journal(journal_path(path), Existing::Replace, 0600);
  write_exact(journal.fd(), encode_journal(tree, bindings), 0);
  journal.sync();
  begun = true;
  journal.commit();
  write_synced(file, bindings);
  remove_journal(path);
}

}  // namespace qpcseal::seal
