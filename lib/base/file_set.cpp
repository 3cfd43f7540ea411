// SPDX-License-Identifier: Apache-2.0
#include "base/file_set.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/temporary.h"

namespace qpcseal {

void reserve(const Fd& file, std::uint64_t size) {
  int result = 0;
  do {
    result = fallocate(file.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size));
  } while (result != 0 && errno == EINTR);
  if (result != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
    throw_errno("no room for " + std::to_string(size) + " bytes");
}

OutputSet::~OutputSet() {
  if (committed_) return;
  files_.clear();  // their temporary files go first
  small_.reset();
  for (auto dir = folders_.rbegin(); dir != folders_.rend(); ++dir) rmdir(dir->c_str());
}

void OutputSet::dir(const std::filesystem::path& path) {
  const bool there = std::filesystem::exists(std::filesystem::symlink_status(path));
  make_folder(path, 0755);
  if (!there) folders_.push_back(path);
  if (there) remove_leftovers_once(path);
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
