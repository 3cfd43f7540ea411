// SPDX-License-Identifier: Apache-2.0
// Several output files that appear together or not at all.
#pragma once

#include <deque>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/file_batch.h"

namespace qpcseal {

// Takes the room on disk that `file`, empty yet, will need, where the file system can: a disk that is too
// full is found before a key is released. In memory it only looks whether there is room. Error{Io}.
void reserve(const Fd& file, std::uint64_t size);

// Files without their names until commit(): those of file() appear first, then those of write(), each in the
// order of its call. A commit that fails takes back what had appeared, but with Existing::Replace, where what
// it replaced is gone; a process that is killed in the middle of one may leave some of the files, the first
// ones first. Each file() keeps a descriptor open, all of write() one.
class OutputSet {
 public:
  explicit OutputSet(Existing existing) : existing_(existing) {}
  OutputSet(const OutputSet&) = delete;
  OutputSet& operator=(const OutputSet&) = delete;
  ~OutputSet();  // without commit: folders that were made are removed again

  // As make_output_folder().
  void dir(const std::filesystem::path& path);
  // Error{Io} where the name is taken and must not be replaced. The reference holds until commit().
  const Fd& file(const std::filesystem::path& path);
  void write(const std::filesystem::path& path, std::string_view text);
  void write(const std::filesystem::path& path, ByteView bytes);
  // All of them are on disk when it returns, under their temporary names still. Error{Io}.
  void sync();
  void commit();

 private:
  struct Output {
    std::filesystem::path path;
    AtomicFile file;
  };
  void take_back(std::size_t appeared) noexcept;

  Existing existing_;
  std::deque<Output> files_;
  std::optional<FileBatch> small_;
  std::vector<std::filesystem::path> folders_;
  bool committed_ = false;
};

}  // namespace qpcseal
