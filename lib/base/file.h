// SPDX-License-Identifier: Apache-2.0
// Files that are complete and on disk before they appear; and folders.
#pragma once

#include <filesystem>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"

namespace qpcseal {

// A file being written beside its final name. commit() syncs it, gives it the final name and syncs the
// folder; without commit nothing appears. Existing::Refuse: an existing name is Error{Io} at construction and
// again, atomically, at commit (link(2), renameat2 NOREPLACE); a commit that fails takes the name back.
// kStandard as the name: commit() writes it to standard output.
class AtomicFile {
 public:
  AtomicFile(std::filesystem::path final_name, Existing existing, unsigned mode = 0644);
  AtomicFile(AtomicFile&&) noexcept;
  AtomicFile& operator=(AtomicFile&&) noexcept;
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();
  [[nodiscard]] const Fd& fd() const { return fd_; }
  [[nodiscard]] const std::filesystem::path& temporary_name() const { return temporary_; }
  void sync();    // fsync alone, early
  void commit();  // once

 private:
  void discard() noexcept;
  std::filesystem::path final_, temporary_;
  Existing existing_ = Existing::Refuse;
  Fd fd_;
};

void write_file(const std::filesystem::path& path, ByteView bytes, Existing existing, unsigned mode = 0644);
void sync_folder(const std::filesystem::path& dir);
// Makes one folder with `mode`, less the user's umask; fine when it exists as a real folder, Error{Io}
// otherwise.
void make_folder(const std::filesystem::path& dir, unsigned mode = 0700);
// Makes a folder for outputs (0755), and those above it that are missing. Returns the ones that it made, the
// highest first; where it fails, none of them stays.
std::vector<std::filesystem::path> make_output_folder(const std::filesystem::path& dir);
// Error{Io} where this process can make no files in it.
void require_writable_folder(const std::filesystem::path& dir);

}  // namespace qpcseal
