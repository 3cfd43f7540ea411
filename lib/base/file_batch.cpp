// SPDX-License-Identifier: Apache-2.0
#include "base/file_batch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/error.h"
#include "base/file.h"
#include "base/file_name.h"
#include "base/retry.h"

namespace qpcseal {

namespace {

constexpr std::size_t kFew = 16;       // files
constexpr std::size_t kMaxName = 255;  // bytes of a name

void flush_file_system(const std::filesystem::path& file) {
  const Fd fd(
      retry_interrupted([&] { return open(parent_dir(file).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!fd || retry_interrupted([&] { return syncfs(fd.get()); }) != 0) throw_errno(file.string());
}

}  // namespace

FileBatch::~FileBatch() {
  for (std::size_t i = appeared_; i < files_.size(); ++i) unlink(files_[i].temporary.c_str());
  remove_stage();
}

void FileBatch::remove_stage() noexcept {
  if (stage_.fd) rmdir(stage_.name.c_str());
  stage_ = {};
}

void FileBatch::dir(const std::filesystem::path& path) {
  if (make_unsynced_folder(path, 0755)) parents_.insert(parent_dir(path));
}

void FileBatch::add(const std::filesystem::path& path, ByteView bytes, Existing existing) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  check_name(path, existing);
  if (!stage_.fd) {
    remove_leftovers_once(parent_dir(path));
    stage_ = create_temporary_folder(parent_dir(path));
  }
  // With the final name in it, so that a name that the medium does not take is refused here.
  std::string name = std::to_string(files_.size()) + "." + path.filename().string();
  if (name.size() > kMaxName) name = std::to_string(files_.size());
  const auto temporary = stage_.name / name;
  const Fd fd(retry_interrupted([&] { return open(temporary.c_str(), kFlags, 0600); }));
  if (!fd) throw_errno(path.string());
  files_.push_back({temporary, path, existing});
  set_mode(fd, mode_, path);
  with_context(path.string(), [&] { write_exact(fd, bytes, 0); });
}

void FileBatch::take_back() noexcept {
  for (std::size_t i = 0; i < appeared_; ++i)
    if (files_[i].existing == Existing::Refuse) unlink(files_[i].name.c_str());
}

void FileBatch::sync() {
  if (files_.size() - synced_ > kFew) {
    flush_file_system(files_.front().name);
    synced_ = files_.size();
  }
  for (; synced_ < files_.size(); ++synced_)
    sync_file(open_to_read(files_[synced_].temporary), files_[synced_].name);
}

void FileBatch::commit() {
  if (files_.empty()) return;
  sync();
  const bool few = files_.size() <= kFew;
  for (; appeared_ < files_.size(); ++appeared_) {
    const Waiting& file = files_[appeared_];
    publish(file.temporary, file.name, file.existing);
  }
  remove_stage();
  if (!few) flush_file_system(files_.front().name);
  std::set<std::filesystem::path> folders;
  if (few) folders = parents_;
  for (std::size_t i = 0; few && i < files_.size(); ++i) folders.insert(parent_dir(files_[i].name));
  for (const auto& dir : folders) sync_folder(dir);
}

void publish_folder(const std::filesystem::path& from, const std::filesystem::path& to, Existing existing) {
  const auto renamed = [&](unsigned flags) {
    return retry_interrupted(
               [&] { return renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags); }) == 0;
  };
  if (renamed(RENAME_NOREPLACE)) return;
  const int error = errno;
  const bool there = is_name_taken(to);
  if (there && existing == Existing::Refuse) throw exists_error(to);
  if (there && renamed(RENAME_EXCHANGE)) {
    std::error_code ignored;  // the new one has its name, whatever becomes of the old one
    std::filesystem::remove_all(from, ignored);
    return;
  }
  // Else a file system without such renames; EINVAL is also what a folder gets that is to change places with
  // the one around it.
  if (!there) errno = error;
  if (!medium_cannot(errno)) throw_errno(to.string());
  if (there && std::filesystem::equivalent(to, parent_dir(from)))
    throw Error(ErrorKind::Internal, from.string() + " is to take the place of the folder around it");
  std::filesystem::remove_all(to);
  if (retry_interrupted([&] { return rename(from.c_str(), to.c_str()); }) != 0) throw_errno(to.string());
}

}  // namespace qpcseal
