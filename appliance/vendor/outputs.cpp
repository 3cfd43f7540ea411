// SPDX-License-Identifier: Apache-2.0
#include "appliance/vendor/outputs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/file_digest.h"
#include "base/file_name.h"
#include "base/free_room.h"

namespace qpcseal::vendor {

namespace {

constexpr const char* kOutputRule = "docs/VENDOR-SDK.md";
constexpr std::size_t kMaxDepth = 2;                      // folders
constexpr std::size_t kMaxName = 64;                      // bytes
constexpr std::size_t kMaxNames = std::size_t{48} << 10;  // bytes of one log entry, which names all files
constexpr std::size_t kPerFile = 128;                     // bytes of it beside the name: SHA-256, size
constexpr std::size_t kMaxFaults = 32;                    // findings of one run
constexpr unsigned kSetId = S_ISUID | S_ISGID | S_ISVTX;

bool is_plain(const std::string& name) {
  constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-+";
  return !name.empty() && name.size() <= kMaxName && name.front() != '.' && name.front() != '-' &&
         name.find_first_not_of(kAllowed) == std::string::npos;
}

bool is_hex_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Characters in the longest run of those that `is` takes.
template <typename Is>
std::string_view longest_run(std::string_view name, Is is) {
  std::string_view out;
  for (std::size_t from = 0; from < name.size();) {
    std::size_t to = from;
    while (to < name.size() && is(name[to])) ++to;
    if (to - from > out.size()) out = name.substr(from, to - from);
    from = to + 1;
  }
  return out;
}

bool mixes_cases_and_digits(std::string_view run) {
  const auto has = [&](char low, char high) {
    return std::ranges::any_of(run, [&](char c) { return c >= low && c <= high; });
  };
  return has('0', '9') && has('a', 'z') && has('A', 'Z');
}

// Names of accepted files are shown and logged. One that reads like a key's bytes in hex, or in base64, is no
// name of the guide's.
bool is_like_a_key(std::string_view name) {
  constexpr std::size_t kKeyLike = 16;  // characters
  if (longest_run(name, is_hex_digit).size() >= kKeyLike) return true;
  const std::string_view run = longest_run(name, [](char c) { return is_letter_or_digit(c) || c == '+'; });
  return run.size() >= kKeyLike && mixes_cases_and_digits(run);
}

// The tool had the key, and chose the names: a refused one is never quoted.
std::string fault_of_name(std::string_view name) {
  if (name.size() > kMaxName) return "too long";
  if (name.front() == '.' || name.front() == '-') return "one that begins with '.' or '-'";
  if (!is_plain(std::string(name))) return "one with other characters";
  return is_like_a_key(name) ? "one that could be a key's bytes" : "";
}

class Walk {
 public:
  Walk(std::filesystem::path root, const OutputLimits& limits) : root_(std::move(root)), limits_(limits) {}

  std::vector<ToolOutput> take() {
    dir("", 0);
    if (faults_.empty() && files_.empty()) refuse("the folder", "empty", "at least one file");
    if (!faults_.empty())
      throw Error(
          ErrorKind::Denied,
          "what the tool made is not taken: " + faults_.front().claim + " is " + faults_.front().observed, "",
          faults_);
    std::vector<ToolOutput> out;
    std::ranges::sort(files_);
    for (const std::string& name : files_) out.push_back(settle(name));
    for (const std::string& name : folders_) {
      const Fd fd(open((root_ / name).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!fd) throw_errno(name);
      set_mode(fd, 0755, name);
      sync_file(fd, name);
    }
    sync_folder(root_);
    return out;
  }

 private:
  void refuse(const std::string& what, const std::string& observed, const std::string& expected) {
    if (faults_.size() < kMaxFaults) faults_.push_back({"EXP-OUTPUT", what, observed, expected, kOutputRule});
  }

  void dir(const std::string& below, std::size_t depth) {
    for (const auto& item : std::filesystem::directory_iterator(root_ / below)) {
      const std::string own = item.path().filename().string();
      const std::string name = below.empty() ? own : below + "/" + own;
      if (files_.size() + folders_.size() >= limits_.files)
        return refuse("the folder", "fuller",
                      "at most " + std::to_string(limits_.files) + " files and folders");
      if (const std::string fault = fault_of_name(own); !fault.empty()) {
        refuse("a name", fault, "64 letters, digits, '.', '_', '-', '+' that do not read like a key");
        continue;
      }
      look(name, depth);
    }
  }

  void look(const std::string& name, std::size_t depth) {
    struct stat status{};
    if (lstat((root_ / name).c_str(), &status) != 0) throw_errno("a file that the tool made");
    const char* const what = S_ISDIR(status.st_mode) ? "a folder" : "a file";
    if ((status.st_mode & kSetId) != 0) return refuse(what, "set-id", "an ordinary file or folder");
    if (S_ISDIR(status.st_mode)) {
      if (depth == kMaxDepth) return refuse(what, "a folder too deep", "at most two folders deep");
      folders_.push_back(name);
      return dir(name, depth + 1);
    }
    if (!S_ISREG(status.st_mode)) return refuse(what, "no regular file", "a regular file");
    if (status.st_nlink != 1) return refuse(what, "a file of several names", "one name");
    bytes_ += static_cast<std::uint64_t>(status.st_size);
    if (bytes_ > limits_.bytes)
      return refuse("all files together", "more", "at most " + std::to_string(limits_.bytes) + " bytes");
    names_ += name.size() + kPerFile;
    if (names_ > kMaxNames) return refuse("all names together", "more", "what one log entry can list");
    files_.push_back(name);
  }

  [[nodiscard]] ToolOutput settle(const std::string& name) const {
    const Fd fd = open_to_read(root_ / name);
    ToolOutput out = digest_of(fd, name);
    set_mode(fd, 0644, name);
    sync_file(fd, name);
    return out;
  }

  std::filesystem::path root_;
  OutputLimits limits_;
  std::vector<std::string> files_, folders_;
  std::uint64_t bytes_ = 0;
  std::size_t names_ = 0;
  Findings faults_;
};

}  // namespace

ToolOutput digest_of_file(const std::filesystem::path& path, const std::string& name) {
  return digest_of(open_to_read(path), name);
}

ToolOutput digest_of(const Fd& fd, const std::string& name) {
  const std::uint64_t size = file_size(fd);
  return {name, size, to_hex(file_digest(fd, size))};
}

std::vector<ToolOutput> take_outputs(const std::filesystem::path& dir, const OutputLimits& limits) {
  return Walk(dir, limits).take();
}

namespace {

constexpr std::uint64_t kLeastRoom = std::uint64_t{4} << 20;  // bytes

}  // namespace

std::string over_limits(const std::filesystem::path& dir, const OutputLimits& limits) {
  std::uint64_t bytes = 0, items = 0;
  std::error_code fault;
  std::filesystem::recursive_directory_iterator at(dir, fault), end;
  for (; !fault && at != end; at.increment(fault)) {
    struct stat status{};
    if (lstat(at->path().c_str(), &status) != 0) continue;
    if (S_ISREG(status.st_mode)) bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
    if (++items > limits.files)
      return "made more than " + std::to_string(limits.files) + " files and folders";
    if (bytes > limits.bytes)
      return "wrote more than " + std::to_string(limits.bytes) + " bytes into its folder";
  }
  // A folder may go while it is looked at.
  if (fault && fault != std::errc::no_such_file_or_directory) return "made a folder that cannot be read";
  return free_room(dir) < kLeastRoom ? "left no room in its folder's file system" : "";
}

encoding::Json as_json(const std::vector<ToolOutput>& outputs) {
  encoding::Json out = encoding::Json::array();
  for (const ToolOutput& one : outputs)
    out.push_back({{"name", one.name}, {"size", one.size}, {"sha256", one.sha256}});
  return out;
}

}  // namespace qpcseal::vendor
