// SPDX-License-Identifier: Apache-2.0
#include "base/file_set.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/bulk_file.h"
#include "base/error.h"
#include "base/free_room.h"
#include "base/retry.h"
#include "base/temporary.h"

namespace qpcseal {

namespace {

[[noreturn]] void refuse_size(std::uint64_t size) {
  throw_errno("no room for " + std::to_string(size) + " bytes");
}

// Memory that is reserved is memory that is filled, before anything else can be done.
void look_for_memory(const Fd& file, std::uint64_t size) {
  if (free_room(file) >= whole_pages(size)) return;
  errno = ENOSPC;
  refuse_size(size);
}

}  // namespace

void reserve(const Fd& file, std::uint64_t size) {
  if (is_in_memory(file)) return look_for_memory(file, size);
  const int result = retry_interrupted(
      [&] { return fallocate(file.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)); });
  if (result != 0 && errno != EOPNOTSUPP && errno != ENOSYS) refuse_size(size);
}

OutputSet::~OutputSet() {
  if (committed_) return;
  files_.clear();  // their temporary files go first
  small_.reset();
  for (auto dir = folders_.rbegin(); dir != folders_.rend(); ++dir) rmdir(dir->c_str());
}

void OutputSet::dir(const std::filesystem::path& path) {
  const auto made = make_output_folder(path);
  folders_.insert(folders_.end(), made.begin(), made.end());
  if (made.empty()) remove_leftovers_once(path);
}

const Fd& OutputSet::file(const std::filesystem::path& path) {
  files_.push_back({path, AtomicFile(path, existing_)});
  return files_.back().file.fd();
}

void OutputSet::write(const std::filesystem::path& path, std::string_view text) { write(path, view(text)); }

void OutputSet::write(const std::filesystem::path& path, ByteView bytes) {
  if (!small_) small_.emplace();
  small_->add(path, bytes, existing_);
}

// What replaced another file stays: the other one is gone.
void OutputSet::take_back(std::size_t appeared) noexcept {
  if (small_) small_->take_back();
  if (existing_ == Existing::Replace) return;
  for (std::size_t i = 0; i < appeared; ++i) unlink(files_[i].path.c_str());
}

void OutputSet::sync() {
  for (Output& output : files_) output.file.sync();
  if (small_) small_->sync();
}

void OutputSet::commit() {
  sync();
  std::size_t appeared = 0;
  try {
    for (; appeared < files_.size(); ++appeared) files_[appeared].file.commit();
    if (small_) small_->commit();
  } catch (const Error&) {
    take_back(appeared);
    throw;
  }
  committed_ = true;
}

}  // namespace qpcseal
