// SPDX-License-Identifier: Apache-2.0
// Whether the home can be written to, and room for what must be written on a full disk.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "appliance/site/home.h"
#include "base/file.h"
#include "base/free_room.h"
#include "base/retry.h"

namespace qpcseal::site {

namespace {

// The disk counts as nearly full below so many reserves: logging in, an append and its checkpoint take less.
constexpr std::uint64_t kPlenty = 4;

}  // namespace

bool is_read_only(const Home& home) {
  return access(home.root.c_str(), W_OK) != 0 && (errno == EROFS || errno == EACCES);
}

void keep_reserve(const Home& home) noexcept {
  try {
    if (std::filesystem::exists(home.reserve()) || free_room(home.log()) < kPlenty * kReserve) return;
    const std::string name = home.reserve().string();
    const Fd file(retry_interrupted(
        [&] { return open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600); }));
    if (!file) return;
    // Real blocks: a file of zeros would take none on some file systems.
    if (retry_interrupted([&] { return fallocate(file.get(), 0, 0, static_cast<off_t>(kReserve)); }) != 0)
      unlink(name.c_str());
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the next run tries again
  }
}

void give_up_reserve(const Home& home) noexcept {
  try {
    if (free_room(home.log()) < kPlenty * kReserve) unlink(home.reserve().c_str());
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the act finds out whether there is room
  }
}

}  // namespace qpcseal::site
