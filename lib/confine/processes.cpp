// SPDX-License-Identifier: Apache-2.0
#include "confine/processes.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace qpcseal::confine {

// The fourth word of /proc/loadavg is "running/all".
std::uint64_t all_tasks() {
  std::ifstream file("/proc/loadavg");
  std::string word;
  for (int i = 0; i < 4; ++i) file >> word;
  return std::strtoull(word.substr(word.find('/') + 1).c_str(), nullptr, 10);
}

namespace {

// What is in a folder of /proc, until `visit` returns false. What is looked at may go meanwhile: that ends
// it.
template <typename Visit>
void each_entry(const std::filesystem::path& folder, const Visit& visit) {
  std::error_code gone;
  for (std::filesystem::directory_iterator at(folder, gone), end; !gone && at != end; at.increment(gone))
    if (!visit(at->path())) return;
}

// The /proc folders of the processes in the pid namespace of process `inner`, until `visit` returns false.
template <typename Visit>
void visit_processes(long inner, const Visit& visit) {
  const auto space_of = [](const std::filesystem::path& process) {
    std::error_code none;
    return std::filesystem::read_symlink(process / "ns/pid", none).string();
  };
  const std::string space = space_of("/proc/" + std::to_string(inner));
  if (space.empty()) return;
  each_entry("/proc", [&](const std::filesystem::path& entry) {
    const std::string name = entry.filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos || space_of(entry) != space) return true;
    return visit(entry);
  });
}

}  // namespace

std::uint64_t processes_with(long inner, std::uint64_t most) {
  std::uint64_t count = 0;
  visit_processes(inner, [&](const std::filesystem::path&) { return ++count <= most; });
  return count;
}

namespace {

// Adds what a table of open files holds.
class HeldFiles {
 public:
  explicit HeldFiles(const std::set<dev_t>& file_systems) : file_systems_(file_systems) {}

  void add(const std::filesystem::path& table) {
    each_entry(table, [&](const std::filesystem::path& descriptor) {
      struct stat status{};
      if (stat(descriptor.c_str(), &status) == 0 && status.st_nlink == 0 && S_ISREG(status.st_mode) &&
          file_systems_.contains(status.st_dev) && seen_.emplace(status.st_dev, status.st_ino).second)
        bytes_ += static_cast<std::uint64_t>(status.st_blocks) * 512;
      return true;
    });
  }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  const std::set<dev_t>& file_systems_;
  std::set<std::pair<dev_t, ino_t>> seen_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

std::uint64_t bytes_without_name(long inner, const std::set<dev_t>& file_systems) {
  HeldFiles held(file_systems);
  visit_processes(inner, [&](const std::filesystem::path& process) {
    // Each thread: the first may have ended, and others may have tables of their own.
    each_entry(process / "task", [&](const std::filesystem::path& task) {
      held.add(task / "fd");
      return true;
    });
    return true;
  });
  return held.bytes();
}

}  // namespace qpcseal::confine
