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

// The /proc folders of the processes in the pid namespace of process `inner`, until `visit` returns false.
template <typename Visit>
void visit_processes(long inner, const Visit& visit) {
  const auto space_of = [](const std::filesystem::path& process) {
    std::error_code none;
    return std::filesystem::read_symlink(process / "ns/pid", none).string();
  };
  const std::string space = space_of("/proc/" + std::to_string(inner));
  if (space.empty()) return;
  std::error_code none;
  for (std::filesystem::directory_iterator at("/proc", none), end; !none && at != end; at.increment(none)) {
    const std::string name = at->path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos || space_of(at->path()) != space) continue;
    if (!visit(at->path())) return;
  }
}

}  // namespace

std::uint64_t processes_with(long inner, std::uint64_t most) {
  std::uint64_t count = 0;
  visit_processes(inner, [&](const std::filesystem::path&) { return ++count <= most; });
  return count;
}

namespace {

// Adds what one table of open files holds; a task may go while it is looked at.
class HeldFiles {
 public:
  explicit HeldFiles(const std::set<dev_t>& file_systems) : file_systems_(file_systems) {}

  void add(const std::filesystem::path& table) {
    std::error_code none;
    for (std::filesystem::directory_iterator at(table, none), end; !none && at != end; at.increment(none)) {
      struct stat status{};
      if (stat(at->path().c_str(), &status) != 0 || status.st_nlink != 0 || !S_ISREG(status.st_mode))
        continue;
      if (!file_systems_.contains(status.st_dev) || !seen_.emplace(status.st_dev, status.st_ino).second)
        continue;
      bytes_ += static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
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
    std::error_code none;
    for (std::filesystem::directory_iterator at(process / "task", none), end; !none && at != end;
         at.increment(none))
      held.add(at->path() / "fd");
    return true;
  });
  return held.bytes();
}

}  // namespace qpcseal::confine
