// SPDX-License-Identifier: Apache-2.0
#include "confine/processes.h"

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

std::uint64_t processes_with(long inner, std::uint64_t most) {
  const auto space_of = [](const std::string& pid) {
    std::error_code none;
    return std::filesystem::read_symlink("/proc/" + pid + "/ns/pid", none).string();
  };
  const std::string space = space_of(std::to_string(inner));
  if (space.empty()) return 0;
  std::uint64_t count = 0;
  std::error_code none;
  for (const auto& item : std::filesystem::directory_iterator("/proc", none)) {
    const std::string name = item.path().filename().string();
    if (name.find_first_not_of("0123456789") == std::string::npos && space_of(name) == space) ++count;
    if (count > most) break;
  }
  return count;
}

}  // namespace qpcseal::confine
