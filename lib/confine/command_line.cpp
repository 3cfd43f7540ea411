// SPDX-License-Identifier: Apache-2.0
#include "confine/command_line.h"

#include <filesystem>

namespace qpcseal::confine {

namespace {

using Words = std::vector<std::string>;

constexpr const char* kNobody = "65534";
constexpr const char* kTmpSize = "268435456";  // bytes

void add(Words& out, const Words& more) { out.insert(out.end(), more.begin(), more.end()); }

// /bin, /lib, ... are links into /usr where the system is merged, and folders where it is not.
void add_system(Words& out) {
  add(out, {"--ro-bind", "/usr", "/usr"});
  for (const char* name : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
    const std::filesystem::path path = std::filesystem::path("/") / name;
    std::error_code none;
    if (std::filesystem::is_symlink(path, none))
      add(out, {"--symlink", std::filesystem::read_symlink(path), path});
    else if (std::filesystem::is_directory(path, none))
      add(out, {"--ro-bind", path, path});
  }
  for (const char* path : {"/etc/ld.so.cache", "/etc/alternatives"}) add(out, {"--ro-bind-try", path, path});
}

void add_given(Words& out, const Job& job, const Channels& channels) {
  for (std::size_t i = 0; i < job.files.size(); ++i)
    add(out, {"--perms", job.files[i].executable ? "0555" : "0444", "--ro-bind-data",
              std::to_string(channels.files.at(i)), job.files[i].inside});
  for (const GivenFolder& dir : job.folders)
    add(out, {dir.writable ? "--bind-fd" : "--ro-bind-fd", std::to_string(dir.dir.get()), dir.inside});
  if (job.secret)
    add(out, {"--perms", "0400", "--ro-bind-data", std::to_string(channels.secret), job.secret->inside});
}

}  // namespace

Words bubblewrap_command(const Job& job, const Channels& channels) {
  Words out{kBubblewrap};
  add(out, {"--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
            "--unshare-cgroup-try", "--disable-userns", "--uid", kNobody, "--gid", kNobody, "--cap-drop",
            "ALL", "--clearenv", "--die-with-parent", "--new-session"});
  add_system(out);
  add(out, {"--proc", "/proc", "--dev", "/dev", "--size", kTmpSize, "--tmpfs", "/tmp"});
  add_given(out, job, channels);
  // The sandbox's own root and /dev are memory without a limit.
  add(out, {"--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"});
  add(out, {"--json-status-fd", std::to_string(channels.status), "--block-fd", std::to_string(channels.start),
            "--seccomp", std::to_string(channels.filter), "--"});
  add(out, job.command);
  return out;
}

}  // namespace qpcseal::confine
