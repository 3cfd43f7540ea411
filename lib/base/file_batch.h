// SPDX-License-Identifier: Apache-2.0
// Many small files that appear together after few flushes, where a sync for each would take minutes.
#pragma once

#include <filesystem>
#include <set>
#include <vector>

#include "base/temporary.h"

namespace qpcseal {

// add() writes each file into a temporary folder beside the first one (lib/base/temporary.h). commit() brings
// all of them to the disk, gives them their names in the order of their adding, and brings these to the disk:
// so a file that is there is whole, and the last one's presence says that all are. Few files are synced one
// by one, many by flushing their file system (syncfs(2)). All must be of one file system. Without commit
// nothing appears, and what a killed process left is removed by the next that writes there. Keeps one
// descriptor open, however many files there are.
class FileBatch {
 public:
  explicit FileBatch(unsigned mode = 0644) : mode_(mode) {}
  ~FileBatch();
  FileBatch(const FileBatch&) = delete;
  FileBatch& operator=(const FileBatch&) = delete;

  // Makes a folder for files of the batch, with mode 0755; its name is on disk after commit().
  void dir(const std::filesystem::path& path);
  // Error{Io} for a name that is taken and must not be replaced.
  void add(const std::filesystem::path& path, ByteView bytes, Existing existing);
  // All of them are on disk when it returns, under their temporary names still. commit() calls it.
  void sync();
  void commit();
  // After a commit that failed: removes what had appeared. What replaced another file stays.
  void take_back() noexcept;
  [[nodiscard]] std::size_t size() const { return files_.size(); }

 private:
  struct Waiting {
    std::filesystem::path temporary, name;
    Existing existing = Existing::Refuse;
  };
  void remove_stage() noexcept;

  unsigned mode_;
  TemporaryFile stage_;
  std::vector<Waiting> files_;
  std::set<std::filesystem::path> parents_;  // of folders
  std::size_t appeared_ = 0;
  std::size_t synced_ = 0;
};

// Gives a folder that is complete and on disk its final name, in one step, and removes what it replaces. With
// Existing::Refuse an existing name is Error{Io}. Both have one parent, which the caller syncs.
void publish_folder(const std::filesystem::path& from, const std::filesystem::path& to, Existing existing);

}  // namespace qpcseal
