// SPDX-License-Identifier: Apache-2.0
#include "appliance/vendor/tool_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/vendor/known_outputs.h"
#include "base/error.h"
#include "base/file_batch.h"
#include "base/file_name.h"
#include "base/free_room.h"
#include "base/remove_tree.h"

namespace qpcseal::vendor {

namespace {

std::filesystem::path without_slash(const std::filesystem::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

constexpr std::uint64_t kRoomBeside = std::uint64_t{16} << 20;  // bytes: wrapped keys, the log's entries

bool is_mount_point(const std::filesystem::path& dir) {
  struct statx status{};
  return statx(AT_FDCWD, dir.c_str(), AT_SYMLINK_NOFOLLOW, 0, &status) == 0 &&
         (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

// Nothing is replaced that the operator did not say, or that is not ours alone.
void check_place(const std::filesystem::path& output, bool replace, const KnownOutputs& known) {
  const auto status = std::filesystem::symlink_status(output);
  if (!std::filesystem::exists(status)) return;
  if (!std::filesystem::is_directory(status)) throw Error(ErrorKind::Io, output.string() + " is no folder");
  if (is_mount_point(output))
    throw Error(ErrorKind::Io, output.string() + " is a mount point, which no other folder can replace",
                "name a folder in it");
  if (std::filesystem::is_empty(output)) return;
  if (!replace)
    throw Error(ErrorKind::Io, output.string() + " exists",
                "name a new folder, or give --force to replace it");
  known.require_known(output);
}

}  // namespace

ToolFolder::ToolFolder(const std::filesystem::path& output, bool replace, const KnownOutputs& known)
    : known_(known), output_(without_slash(output)), replace_(replace) {
  remove_leftovers(parent_dir(output_));  // of a run, too, that ended once its output had its name
  check_place(output_, replace_, known_);
  stage_ = create_temporary_folder(parent_dir(output_));
  path_ = stage_.name / "out";
  try {
    make_folder(path_);
  } catch (const Error&) {
    discard();
    throw;
  }
}

ToolFolder::~ToolFolder() { discard(); }

bool ToolFolder::discard() noexcept {
  if (!done_) done_ = remove_tree(stage_.name);
  return done_;
}

Fd ToolFolder::open() const {
  Fd out(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!out) throw_errno(path_.string());
  return out;
}

std::uint64_t ToolFolder::fill(const std::filesystem::path& from, const std::string& below) const {
  std::uint64_t bytes = 0;
  for (const std::string& name : files_in(from)) {
    const auto to = path_ / below / name;
    std::filesystem::create_directories(to.parent_path());
    std::filesystem::copy_file(from / name, to);
    bytes += std::filesystem::file_size(to);
  }
  return bytes;
}

void ToolFolder::rehearse(std::uint64_t bytes) const {
  if (free_room(path_) < bytes + kRoomBeside)
    throw Error(ErrorKind::Io, parent_dir(output_).string() + " has no room for " +
                                   std::to_string(bytes + kRoomBeside) + " bytes");
  const std::filesystem::path trial = stage_.name / "trial", renamed = stage_.name / "renamed";
  for (const Existing existing : {Existing::Refuse, Existing::Replace}) {
    make_folder(trial);
    write_file(trial / "file", {}, Existing::Refuse);
    sync_folder(trial);
    publish_folder(trial, renamed, existing);
  }
  if (!remove_tree(renamed)) throw Error(ErrorKind::Io, renamed.string() + " cannot be removed");
}

// What came into the output while the tool ran is not the tool's, and not ours to remove.
void ToolFolder::make_place() const {
  check_place(output_, replace_, known_);
  std::error_code none;
  if (std::filesystem::is_directory(std::filesystem::symlink_status(output_)) &&
      std::filesystem::is_empty(output_, none) && rmdir(output_.c_str()) != 0)
    throw_errno(output_.string());
}

void ToolFolder::publish() {
  make_place();
  const Fd dir = open();
  set_mode(dir, 0755, output_);
  sync_file(dir, output_);
  publish_folder(path_, output_, replace_ ? Existing::Replace : Existing::Refuse);
  discard();
  sync_folder(parent_dir(output_));
}

}  // namespace qpcseal::vendor
