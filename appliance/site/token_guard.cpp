// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/token_guard.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "appliance/site/token_file.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/file_batch.h"
#include "base/retry.h"

namespace qpcseal::site {

namespace {

using encoding::Json;
using std::filesystem::path;

constexpr std::string_view kObject = ".object", kLock = ".lock";
constexpr const char *kTokenObject = "token.object", *kGeneration = "generation";
constexpr const char *kMark = "destroying", *kRestored = "restored.json";
constexpr std::size_t kMaxObject = std::size_t{1} << 20, kMaxRestored = std::size_t{1} << 20;  // bytes
constexpr std::size_t kMaxListed = 64;  // files in an entry of the log

bool is_file(const path& file) {
  return std::filesystem::is_regular_file(std::filesystem::symlink_status(file));
}

std::vector<path> folders_in(const path& dir) {
  std::vector<path> out;
  if (!std::filesystem::is_directory(dir)) return out;
  for (const auto& item : std::filesystem::directory_iterator(dir))
    if (item.is_directory() && !item.is_symlink()) out.push_back(item.path().filename());
  std::ranges::sort(out);
  return out;
}

Bytes read_object(const path& file) { return read_file(file, kMaxObject); }

// The copy, if there is one that is whole.
std::optional<Bytes> read_copy(const path& file) {
  if (!is_file(file)) return std::nullopt;
  Bytes bytes = read_object(file);
  if (!parse_token_file(bytes)) return std::nullopt;
  return bytes;
}

void create_empty(const path& file) {
  const Fd fd(open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd && errno != EEXIST) throw_errno(file.string());
}

void remove_if_there(const path& file) {
  if (unlink(file.c_str()) != 0 && errno != ENOENT) throw_errno(file.string());
}

}  // namespace

TokenGuard::TokenGuard(const Home& home) : tokens_(home.tokens()), copies_(home.token_copies()) {}

// Of the tokens below `dir`, sorted.
std::vector<TokenGuard::Name> TokenGuard::objects_in(const path& dir) const {
  std::vector<Name> out;
  for (const path& token : folders_in(dir))
    for (const auto& item : std::filesystem::directory_iterator(dir / token))
      if (item.path().filename().string().ends_with(kObject) && is_file(item.path()))
        out.push_back(token / item.path().filename());
  std::ranges::sort(out);
  return out;
}

// "" for a whole file; else what is wrong with it. One with fewer attributes than its copy was cut between
// two of them; a key without its value is half made.
std::string TokenGuard::find_fault(const Name& name) const {
  if (!is_file(tokens_ / name)) return "missing";
  const auto now = parse_token_file(read_object(tokens_ / name));
  if (std::filesystem::file_size(tokens_ / name) == 0 || (now && now->types.empty())) return "empty";
  if (!now) return "torn";
  if (now->lacks_value) return "torn";
  const auto kept = read_copy(copies_ / name);
  return kept && !std::ranges::includes(now->types, parse_token_file(*kept)->types) ? "torn" : "";
}

void TokenGuard::put_back(const std::vector<Name>& names) {
  if (names.empty()) return;
  Json record = restored();
  if (record.is_null()) record = {{"count", 0U}, {"files", Json::array()}};
  for (const Name& name : names) {
    const Bytes copy = read_copy(copies_ / name).value();
    record["count"] = record["count"].get<std::uint64_t>() + 1;
    if (record["files"].size() < kMaxListed)
      record["files"].push_back({{"name", name.string()},
                                 {"was", find_fault(name)},
                                 {"bytes", copy.size()},
                                 {"sha256", sha256_hex(copy)}});
  }
  write_file(copies_ / kRestored, view(encoding::canonical(record)), Existing::Replace, 0600);
  for (const Name& name : names) {
    make_folder((tokens_ / name).parent_path());
    write_file(tokens_ / name, read_copy(copies_ / name).value(), Existing::Replace, 0600);
  }
}

// The copies of objects that were destroyed: these are gone while the mark is there. First they are gone on
// disk, then their copies, then the mark.
void TokenGuard::drop_copies() {
  if (!is_file(copies_ / kMark)) return;
  for (const path& token : folders_in(tokens_)) sync_folder(tokens_ / token);
  std::set<path> folders;
  for (const Name& name : objects_in(copies_)) {
    if (is_file(tokens_ / name) || name.filename() == kTokenObject) continue;
    remove_if_there(copies_ / name);
    folders.insert((copies_ / name).parent_path());
  }
  for (const path& dir : folders) sync_folder(dir);
  remove_if_there(copies_ / kMark);
  sync_folder(copies_);
}

// What SoftHSM makes again, or cannot do without, and what says nothing: a torn generation, a missing lock,
// an object without attributes that a killed run left.
void TokenGuard::mend_rest() {
  for (const path& token : folders_in(tokens_)) {
    const path generation = tokens_ / token / kGeneration;
    if (is_file(generation) && std::filesystem::file_size(generation) != kGenerationSize)
      remove_if_there(generation);
  }
  for (const Name& name : objects_in(tokens_)) {
    const path file = tokens_ / name;
    path lock = file;
    lock.replace_extension(kLock);
    if (name.filename() != kTokenObject && std::filesystem::file_size(file) <= kGenerationSize) {
      remove_if_there(file);
      remove_if_there(lock);
    } else if (!is_file(lock)) {
      create_empty(lock);
    }
  }
}

// What an earlier run left half made gets an empty stamp: it is no error of this run. SoftHSM writes default
// attributes into such an object when it is listed.
void TokenGuard::prepare() {
  make_folder(copies_);
  for (const path& dir : {tokens_, copies_})
    for (const path& token : folders_in(dir)) remove_leftovers(dir / token);
  std::vector<Name> bad;
  const bool destroying = is_file(copies_ / kMark);
  for (const Name& name : objects_in(copies_)) {
    const std::string fault = find_fault(name);
    const bool destroyed = fault == "missing" && destroying && name.filename() != kTokenObject;
    if (!fault.empty() && !destroyed && read_copy(copies_ / name)) bad.push_back(name);
  }
  put_back(bad);
  drop_copies();
  mend_rest();
  const std::vector<Name> there = objects_in(tokens_);
  copy_new(there);
  for (const Name& name : there)
    if (!find_fault(name).empty()) seen_[name] = Stamp{};
}

// Copies what has no copy, or another one, when it is on disk itself.
void TokenGuard::copy_new(const std::vector<Name>& names) {
  FileBatch batch(0600);
  std::set<path> folders;
  for (const Name& name : names) {
    const Bytes bytes = read_object(tokens_ / name);
    const auto file = parse_token_file(bytes);
    if (!file || file->is_data || file->lacks_value || file->types.empty()) continue;
    const auto kept = read_copy(copies_ / name);
    if (kept && same_attributes(*kept, bytes)) continue;
    sync_file(open_to_read(tokens_ / name), tokens_ / name);
    folders.insert((tokens_ / name).parent_path());
    make_folder((copies_ / name).parent_path());
    batch.add(copies_ / name, bytes, Existing::Replace);
  }
  for (const path& dir : folders) sync_folder(dir);
  batch.commit();
}

void TokenGuard::check_login() {
  std::vector<Name> bad;
  for (const Name& name : objects_in(tokens_)) {
    if (name.filename() != kTokenObject || find_fault(name).empty()) continue;
    if (!read_copy(copies_ / name))
      throw Error(ErrorKind::Token,
                  (tokens_ / name).string() + " is " + find_fault(name) + ", and has no copy");
    bad.push_back(name);
  }
  put_back(bad);
}

void TokenGuard::before_destroy() {
  if (is_file(copies_ / kMark)) return;
  make_folder(copies_);
  write_file(copies_ / kMark, {}, Existing::Replace, 0600);
}

// Syncs what changed since it was last synced here, and puts back what is torn and has a copy. What is torn
// is named, once.
TokenGuard::Changed TokenGuard::sync_changed() {
  std::set<path> folders;
  std::vector<Name> bad;
  Changed out;
  for (const Name& name : objects_in(tokens_)) {
    const Fd file = open_to_read(tokens_ / name);
    struct stat status{};
    if (fstat(file.get(), &status) != 0) throw_errno((tokens_ / name).string());
    const Stamp now{status.st_ino, static_cast<std::uint64_t>(status.st_size),
                    (status.st_ctim.tv_sec * std::int64_t{1'000'000'000}) + status.st_ctim.tv_nsec};
    if (const auto before = seen_.find(name);
        before != seen_.end() && (before->second == now || before->second == Stamp{}))
      continue;
    seen_[name] = now;
    out.names.push_back(name);
    folders.insert((tokens_ / name).parent_path());
    if (const std::string fault = find_fault(name); !fault.empty()) {
      out.torn =
          (tokens_ / name).string() + " is " + fault + ": the token did not write it (is the disk full?)";
      if (read_copy(copies_ / name)) bad.push_back(name);
      continue;
    }
    sync_file(file, tokens_ / name);
  }
  for (const path& dir : folders) sync_folder(dir);
  put_back(bad);
  return out;
}

void TokenGuard::keep() {
  make_folder(copies_);
  const Changed changed = sync_changed();
  copy_new(changed.names);
  drop_copies();
  if (!changed.torn.empty()) throw Error(ErrorKind::Token, changed.torn);
}

void TokenGuard::look_after() noexcept {
  try {
    keep();
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the act failed already, and says so
  }
}

Json TokenGuard::restored() const {
  if (!is_file(copies_ / kRestored)) return nullptr;
  try {
    return encoding::parse_canonical(read_text_file(copies_ / kRestored, kMaxRestored), kRestored);
  } catch (const Error&) {  // a note that cannot be read is no reason to refuse what it is about
    return nullptr;
  }
}

void TokenGuard::forget_restored() {
  remove_if_there(copies_ / kRestored);
  sync_folder(copies_);
}

}  // namespace qpcseal::site
