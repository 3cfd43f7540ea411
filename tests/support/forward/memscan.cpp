// SPDX-License-Identifier: Apache-2.0
// memscan PID HEXFILE: looks for byte strings in all readable memory of another process.
//
// HEXFILE has a "hex [label]" line for each string; `#` begins a comment. Each place found is printed with
// the mapping it lies in. Exit code: 0 none found, 1 found, 2 could not look (no rights, no such process, no
// strings). Needs root's or ptrace's rights, root's where the process set PR_SET_DUMPABLE to 0.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr std::size_t kWindow = std::size_t{1} << 20;
constexpr std::size_t kShortest = 8;  // bytes: a shorter string is found by chance

using Bytes = std::vector<std::uint8_t>;

struct Needle {
  Bytes bytes;
  std::string label;
};

struct Mapping {
  std::uint64_t begin = 0, end = 0;
  std::string name;
};

Bytes from_hex(const std::string& text) {
  if (text.size() % 2 != 0 || text.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
    throw std::runtime_error("not hexadecimal: " + text);
  Bytes bytes;
  for (std::size_t at = 0; at < text.size(); at += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(at, 2), nullptr, 16)));
  return bytes;
}

std::vector<Needle> read_needles(const char* path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error(std::string("cannot open ") + path);
  std::vector<Needle> needles;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string hex;
    if (!(words >> hex)) continue;
    Needle needle{from_hex(hex), {}};
    std::getline(words >> std::ws, needle.label);
    if (needle.bytes.size() < kShortest) throw std::runtime_error("too short to look for: " + hex);
    needles.push_back(std::move(needle));
  }
  if (needles.empty()) throw std::runtime_error("nothing to look for");
  return needles;
}

std::vector<Mapping> read_mappings(const std::string& pid) {
  std::ifstream in("/proc/" + pid + "/maps");
  if (!in) throw std::runtime_error("no process " + pid);
  std::vector<Mapping> mappings;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string range, rights, offset, device, inode;
    words >> range >> rights >> offset >> device >> inode;
    if (rights.empty() || rights[0] != 'r') continue;
    Mapping mapping;
    std::getline(words >> std::ws, mapping.name);
    const auto dash = range.find('-');
    mapping.begin = std::stoull(range.substr(0, dash), nullptr, 16);
    mapping.end = std::stoull(range.substr(dash + 1), nullptr, 16);
    // The kernel's own pages for clock calls, which no process can write to.
    if (mapping.name.starts_with("[v")) continue;
    mappings.push_back(std::move(mapping));
  }
  return mappings;
}

class Scan {
 public:
  Scan(const std::string& pid, std::vector<Needle> needles) : needles_(std::move(needles)) {
    memory_ = ::open(("/proc/" + pid + "/mem").c_str(), O_RDONLY | O_CLOEXEC);
    if (memory_ < 0) throw std::runtime_error("may not read the memory of process " + pid);
    for (const auto& needle : needles_) longest_ = std::max(longest_, needle.bytes.size());
  }
  Scan(const Scan&) = delete;
  Scan& operator=(const Scan&) = delete;
  ~Scan() { ::close(memory_); }

  // Windows overlap by less than the longest string, so none is missed at an edge.
  void mapping(const Mapping& mapping) {
    Bytes window(kWindow + longest_ - 1);
    for (std::uint64_t at = mapping.begin; at < mapping.end; at += kWindow) {
      const std::size_t wanted = std::min<std::uint64_t>(window.size(), mapping.end - at);
      const ssize_t got = ::pread(memory_, window.data(), wanted, static_cast<off_t>(at));
      if (got <= 0) {
        ++unreadable_;
        continue;
      }
      const auto size = static_cast<std::size_t>(got);
      if (size < wanted) ++unreadable_;
      bytes_ += std::min(size, kWindow);
      for (const auto& needle : needles_) look(needle, window, size, at, mapping.name);
    }
  }

  [[nodiscard]] std::uint64_t found() const { return found_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t unreadable() const { return unreadable_; }

 private:
  void look(const Needle& needle, const Bytes& window, std::size_t size, std::uint64_t at,
            const std::string& name) {
    const auto end = window.begin() + static_cast<std::ptrdiff_t>(size);
    auto from = window.begin();
    for (;;) {
      from = std::search(from, end, needle.bytes.begin(), needle.bytes.end());
      if (from == end) return;
      const auto offset = static_cast<std::uint64_t>(from - window.begin());
      ++from;
      if (offset >= kWindow) continue;  // the next window reports it
      ++found_;
      std::printf("%s at 0x%llx in %s\n", needle.label.empty() ? "string" : needle.label.c_str(),
                  static_cast<unsigned long long>(at + offset), name.empty() ? "[anonymous]" : name.c_str());
    }
  }

  std::vector<Needle> needles_;
  std::size_t longest_ = 0;
  int memory_ = -1;
  std::uint64_t found_ = 0, bytes_ = 0, unreadable_ = 0;
};

int scan(const std::string& pid, const char* hexfile) {
  if (pid.empty() || pid.find_first_not_of("0123456789") != std::string::npos)
    throw std::runtime_error("not a process id: " + pid);
  Scan scan(pid, read_needles(hexfile));
  for (const auto& mapping : read_mappings(pid)) scan.mapping(mapping);
  std::printf("%llu found in %llu bytes; %llu windows not readable\n",
              static_cast<unsigned long long>(scan.found()), static_cast<unsigned long long>(scan.bytes()),
              static_cast<unsigned long long>(scan.unreadable()));
  if (scan.bytes() == 0) throw std::runtime_error("nothing could be read");
  return scan.found() > 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 3) throw std::runtime_error("usage: memscan PID HEXFILE");
    return scan(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "memscan: %s\n", error.what());
    return 2;
  }
}
