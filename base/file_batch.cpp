#include "base/file_batch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <set>

#include "base/error.h"
#include "base/file_parts.h"
#include "base/random.h"

namespace qpcseal {

namespace {

constexpr std::size_t kFew = 16;  // files

void flush_file_system(const std::filesystem::path& file) {
  const Fd fd(open(parent_of(file).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || syncfs(fd.get()) != 0) throw_errno(file.string());
}

void sync_file(const std::filesystem::path& file) {
  const Fd fd = open_to_read(file);
  if (fsync(fd.get()) != 0) throw_errno(file.string());
}

}  // namespace

FileBatch::~FileBatch() {
  for (std::size_t i = appeared_; i < files_.size(); ++i) unlink(files_[i].temporary.c_str());
}

void FileBatch::add(const std::filesystem::path& path, ByteView bytes, Existing existing) {
  struct stat status{};
  if (existing == Existing::Refuse && lstat(path.c_str(), &status) == 0) throw exists_error(path);
  SystemRandom random;
  const auto temporary =
      parent_of(path) / ("." + path.filename().string() + ".tmp-" + to_hex(random.bytes(6)));
  const Fd fd = create_beside(temporary, path, mode_);
  files_.push_back({temporary, path, existing});
  with_context(path.string(), [&] { write_exact(fd, bytes, 0); });
}

void FileBatch::commit() {
  if (files_.empty()) return;
  const bool few = files_.size() <= kFew;
  if (!few) flush_file_system(files_.front().name);
  for (std::size_t i = 0; few && i < files_.size(); ++i) sync_file(files_[i].temporary);
  for (; appeared_ < files_.size(); ++appeared_) {
    const Waiting& file = files_[appeared_];
    publish(file.temporary, file.name, file.existing);
  }
  if (!few) flush_file_system(files_.front().name);
  std::set<std::filesystem::path> folders;
  for (std::size_t i = 0; few && i < files_.size(); ++i) folders.insert(parent_of(files_[i].name));
  for (const auto& folder : folders) sync_folder(folder);
}

void publish_folder(const std::filesystem::path& from, const std::filesystem::path& to, Existing existing) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  const int error = errno;
  const bool there = std::filesystem::exists(std::filesystem::symlink_status(to));
  if (there && existing == Existing::Refuse) throw exists_error(to);
  if (there && renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
    std::filesystem::remove_all(from);
    return;
  }
  if (error != EEXIST && error != EINVAL && error != ENOSYS) throw_errno(to.string());
  std::filesystem::remove_all(to);  // a file system without such renames
  if (rename(from.c_str(), to.c_str()) != 0) throw_errno(to.string());
}

}  // namespace qpcseal
