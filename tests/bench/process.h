// SPDX-License-Identifier: Apache-2.0
// Other programs under measurement, and the folder they work in.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace qpcseal::bench {

using Command = std::vector<std::string>;

// Runs a program found in PATH, or by its path, with this process's environment; standard output goes to
// `output` where that is not empty, else nowhere. Error{Internal} with what it wrote to standard error where
// it does not exit with 0.
void run_process(const Command& command, const std::filesystem::path& output = {});

// The most memory that the program had resident, in MiB (by GNU time: what a child's own usage reports
// begins with the memory of its parent).
double peak_memory(const Command& command);

bool is_installed(const std::string& program);

// A folder in memory-backed storage where there is some, removed at the end.
class Workspace {
 public:
  Workspace();
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }
  // Removes that file or folder.
  void remove(const std::string& name) const;

 private:
  std::filesystem::path path_;
};

}  // namespace qpcseal::bench
