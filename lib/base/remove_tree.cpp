// SPDX-License-Identifier: Apache-2.0
#include "base/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "base/fd.h"

namespace qpcseal {

namespace {

std::vector<std::string> names_in(int dir) {
  std::vector<std::string> out;
  Fd copy(fcntl(dir, F_DUPFD_CLOEXEC, 0));
  DIR* stream = copy ? fdopendir(copy.get()) : nullptr;
  if (stream == nullptr) return out;
  copy.release();
  while (const dirent* item = readdir(stream))
    if (const std::string name = static_cast<const char*>(item->d_name); name != "." && name != "..")
      out.push_back(name);
  closedir(stream);
  return out;
}

// By descriptors: a path to the deepest one may be longer than the system takes.
bool remove_below(int parent, const char* name) {
  struct stat status{};
  if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT;
  if (!S_ISDIR(status.st_mode)) return unlinkat(parent, name, 0) == 0;
  [[maybe_unused]] const int modes = fchmodat(parent, name, 0700, 0);  // a medium may have none
  const Fd dir(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir) return false;
  bool out = true;
  for (const std::string& item : names_in(dir.get())) out = remove_below(dir.get(), item.c_str()) && out;
  return unlinkat(parent, name, AT_REMOVEDIR) == 0 && out;
}

}  // namespace

bool remove_tree(const std::filesystem::path& dir) noexcept {
  try {
    return remove_below(AT_FDCWD, dir.c_str());
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace qpcseal
