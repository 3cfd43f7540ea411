// SPDX-License-Identifier: Apache-2.0
#include "base/free_room.h"

#include <sys/statvfs.h>

#include "base/error.h"

namespace qpcseal {

namespace {

std::uint64_t room_of(const struct statvfs& status) {
  if (status.f_blocks == 0) return UINT64_MAX;
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace

std::uint64_t free_room(const std::filesystem::path& dir) {
  struct statvfs status{};
  if (statvfs(dir.c_str(), &status) != 0) throw_errno(dir.string());
  return room_of(status);
}

std::uint64_t free_room(const Fd& file) {
  struct statvfs status{};
  if (fstatvfs(file.get(), &status) != 0) throw_errno("fstatvfs");
  return room_of(status);
}

}  // namespace qpcseal
