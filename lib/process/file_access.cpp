// SPDX-License-Identifier: Apache-2.0
#include "process/file_access.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "base/error.h"
#include "base/fd.h"

namespace qpcseal::process {

namespace {

// The kernel headers of Debian 12 stop at ABI 2; these are the numbers of its Landlock and of later ones.
namespace abi {

constexpr std::uint32_t kCreateVersion = 1U << 0;
constexpr int kPathBeneath = 1;

constexpr std::uint64_t kWriteFile = 1 << 1, kReadFile = 1 << 2, kReadDir = 1 << 3, kRemoveDir = 1 << 4,
                        kRemoveFile = 1 << 5, kMakeDir = 1 << 7, kMakeRegular = 1 << 8, kMakeLink = 1 << 12,
                        kRefer = 1 << 13, kTruncate = 1 << 14, kDeviceControl = 1 << 15;
constexpr std::uint64_t kScopes = 3;  // abstract sockets, signals

// What version N can refuse: all rights up to a bit.
constexpr std::array<unsigned, 6> kRights = {0, 13, 14, 15, 15, 16};
constexpr std::size_t kScopesSince = 6;

struct Ruleset {
  std::uint64_t files = 0, network = 0, scopes = 0;
};
constexpr std::size_t kRulesetSizes[] = {8, 16, 24};  // bytes, with the first, the second, the third member

struct __attribute__((packed)) PathBeneath {
  std::uint64_t allowed = 0;
  std::int32_t parent = -1;
};

}  // namespace abi

constexpr std::uint64_t kRead = abi::kReadFile | abi::kReadDir;
constexpr std::uint64_t kWrite = kRead | abi::kWriteFile | abi::kRemoveDir | abi::kRemoveFile |
                                 abi::kMakeDir | abi::kMakeRegular | abi::kMakeLink | abi::kRefer |
                                 abi::kTruncate | abi::kDeviceControl;
constexpr std::uint64_t kOfFiles = abi::kReadFile | abi::kWriteFile | abi::kTruncate | abi::kDeviceControl;

std::uint64_t rights_of(int version) {
  const auto known = std::min<std::size_t>(static_cast<std::size_t>(version), abi::kRights.size() - 1);
  return (std::uint64_t{1} << abi::kRights.at(known)) - 1;
}

void allow(const Fd& rules, const std::filesystem::path& path, std::uint64_t rights) {
  const Fd parent(open(path.c_str(), O_PATH | O_CLOEXEC));
  // What is not there, or may not be reached anyway.
  if (!parent && (errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ELOOP)) return;
  if (!parent) throw_errno("Landlock: " + path.string());
  struct stat status{};
  if (fstat(parent.get(), &status) != 0) throw_errno(path.string());
  if (!S_ISDIR(status.st_mode)) rights &= kOfFiles;
  const abi::PathBeneath rule{rights, parent.get()};
  if (rights == 0 || syscall(SYS_landlock_add_rule, rules.get(), abi::kPathBeneath, &rule, 0) == 0) return;
  if (errno != EBADFD) throw_errno("Landlock: " + path.string());  // a pipe: no file system has it
}

}  // namespace

FileAccess system_files() {
  FileAccess out;
  for (const char* path : {"/usr",
                           "/lib",
                           "/lib32",
                           "/lib64",
                           "/etc/ld.so.cache",
                           "/etc/nsswitch.conf",
                           "/etc/passwd",
                           "/etc/group",
                           "/etc/localtime",
                           "/etc/host.conf",
                           "/etc/hosts",
                           "/etc/resolv.conf",
                           "/etc/gai.conf",
                           "/etc/services",
                           "/etc/protocols",
                           "/run/systemd/resolve",
                           "/proc",
                           "/sys/devices/system/cpu",
                           "/dev/urandom",
                           "/proc/self/exe",
                           "/dev/random"})
    out.read.emplace_back(path);
  for (const char* path : {"/dev/null", "/dev/tty"}) out.write.emplace_back(path);
  return out;
}

int landlock_version() {
  const long version = syscall(SYS_landlock_create_ruleset, nullptr, 0, abi::kCreateVersion);
  return version < 0 ? 0 : static_cast<int>(version);
}

bool restrict_files(const FileAccess& access) {
  const int version = landlock_version();
  if (version == 0) return false;
  const std::uint64_t known = rights_of(version);
  const bool scoped = static_cast<std::size_t>(version) >= abi::kScopesSince;
  const abi::Ruleset ruleset{known, 0, scoped ? abi::kScopes : 0};
  const std::size_t size = abi::kRulesetSizes[scoped ? 2 : 0];
  const Fd rules(static_cast<int>(syscall(SYS_landlock_create_ruleset, &ruleset, size, 0)));
  if (!rules) throw_errno("Landlock");
  for (const auto& path : access.read) allow(rules, path, kRead & known);
  for (const auto& path : access.write) allow(rules, path, kWrite & known);
  for (const auto& path : access.remove_folders) allow(rules, path, abi::kRemoveDir & known);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw_errno("prctl(PR_SET_NO_NEW_PRIVS)");
  if (syscall(SYS_landlock_restrict_self, rules.get(), 0) != 0) throw_errno("Landlock");
  return true;
}

}  // namespace qpcseal::process
