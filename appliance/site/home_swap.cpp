// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/home_swap.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/file_name.h"

namespace qpcseal::site {

namespace {

using std::filesystem::path;

using Fill = std::function<void(const path& dir)>;

constexpr std::size_t kMaxName = 255;  // bytes
constexpr const char *kMark = ".restoring", *kInside = ".restore", *kAside = "before-restore-";
// What a backup can hold; the log stands first.
constexpr std::array<std::string_view, 8> kState = {
    "log", "policy.toml", "officers", "trust", "collateral.json", "witness", "reports", "approvals"};

bool is_state(const std::string& name) { return std::ranges::find(kState, name) != kState.end(); }
bool is_aside(const std::string& name) { return name.starts_with(kAside); }

// A home may be named by a link; what is exchanged is the folder itself.
path root_of(const Home& home) { return std::filesystem::canonical(home.root); }

path beside(const Home& home) {
  const path root = root_of(home);
  return root.parent_path() / ("." + root.filename().string() + kMark);
}

std::vector<std::string> names_in(const path& dir) {
  std::vector<std::string> out;
  if (!std::filesystem::is_directory(dir)) return out;
  for (const auto& item : std::filesystem::directory_iterator(dir)) out.push_back(item.path().filename());
  std::ranges::sort(out);
  return out;
}

void move(const path& from, const path& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno != EINVAL && errno != ENOSYS) throw_errno(to.string());
  if (is_name_taken(to)) throw Error(ErrorKind::Io, to.string() + " exists");
  std::filesystem::rename(from, to);
}

void sync_all(const path& dir) {
  for (const auto& item : std::filesystem::recursive_directory_iterator(dir))
    if (item.is_directory() && !item.is_symlink()) sync_folder(item.path());
  sync_folder(dir);
}

bool cannot_exchange(int error) {
  static constexpr int kReasons[] = {EINVAL, ENOSYS, EXDEV, EBUSY, EPERM, EACCES, EROFS, EOPNOTSUPP, EMLINK};
  return std::ranges::find(kReasons, error) != std::end(kReasons);
}

// A second name for a file, and the same for all in a folder. False where the file system cannot.
bool link_into(const path& from, const path& to) {
  struct stat status{};
  if (lstat(from.c_str(), &status) != 0) throw_errno(from.string());
  if (S_ISDIR(status.st_mode)) {
    make_folder(to, status.st_mode & 07777U);
    return std::ranges::all_of(names_in(from),
                               [&](const auto& name) { return link_into(from / name, to / name); });
  }
  if (linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0) == 0) return true;
  if (!cannot_exchange(errno)) throw_errno(to.string());
  return false;
}

// Takes away the old home's names of what the home has too.
void unlink_shared(const path& old, const path& home) {
  for (const std::string& name : names_in(old))
    if (!is_state(name) && !is_aside(name) && is_name_taken(home / name))
      std::filesystem::remove_all(old / name);
}

void set_aside(const Home& home, const path& old, const path& aside) {
  unlink_shared(old, home.root);
  for (const std::string& name : names_in(old))
    if (is_aside(name)) move(old / name, home.root / name);
  if (names_in(old).empty())
    std::filesystem::remove(old);
  else
    move(old, aside);
  sync_folder(home.root);
}

// The mark in the home says that the folder beside it is the home from before, and where it belongs.
void settle_exchange(const Home& home) {
  const path old = beside(home), mark = home.root / kMark;
  if (is_name_taken(old) && is_name_taken(mark))
    set_aside(home, old, home.root / read_text_file(mark, kMaxName));
  else if (is_name_taken(old))
    std::filesystem::remove_all(old);
  if (!is_name_taken(mark)) return;
  std::filesystem::remove(mark);
  sync_folder(home.root);
}

// `names` says that state was on the move: it is put back. `done` says that the new one is in its place. The
// one rename that ends either is before anything is removed.
void settle_inside(const Home& home) {
  const path inside = home.root / kInside, old = inside / "old", fresh = inside / "new";
  if (is_name_taken(inside / "names")) {
    for (const std::string& name : names_in(inside / "names"))
      if (!is_name_taken(fresh / name) && is_name_taken(home.root / name))
        move(home.root / name, fresh / name);
    for (const std::string& name : names_in(old)) move(old / name, home.root / name);
    sync_folder(home.root);
    move(inside / "names", inside / "undone");
    sync_folder(inside);
  }
  if (is_name_taken(inside / "done") && !names_in(old).empty())
    move(old, home.root / read_text_file(inside / "aside", kMaxName));
  if (is_name_taken(inside)) {
    std::filesystem::remove_all(inside);
    sync_folder(home.root);
  }
}

// False where the file system cannot link what belongs to the machine.
bool build_beside(const Home& home, const path& dir, const std::string& aside, const Fill& fill) {
  make_folder(dir);
  fill(dir);
  make_home_folders(dir);
  for (const std::string& name : names_in(home.root))
    if (!is_state(name) && !is_aside(name) && !is_name_taken(dir / name) &&
        !link_into(home.root / name, dir / name))
      return false;
  write_file(dir / kMark, view(aside), Existing::Refuse, 0600);
  sync_all(dir);
  return true;
}

bool exchange(const path& dir, const path& root) {
  if (renameat2(AT_FDCWD, dir.c_str(), AT_FDCWD, root.c_str(), RENAME_EXCHANGE) == 0) {
    sync_folder(dir.parent_path());
    return true;
  }
  if (!cannot_exchange(errno)) throw_errno(root.string());
  return false;
}

// False: nothing has changed, and it has to be done in place.
bool swap_by_exchange(const Home& home, const std::string& aside, const Fill& fill) {
  const path dir = beside(home);
  if (access(dir.parent_path().c_str(), W_OK | X_OK) != 0) return false;
  bool done = false;
  try {
    done = build_beside(home, dir, aside, fill) && exchange(dir, root_of(home));
  } catch (...) {
    std::error_code ignored;
    if (!is_name_taken(home.root / kMark)) std::filesystem::remove_all(dir, ignored);
    throw;
  }
  if (!done) std::filesystem::remove_all(dir);
  return done;
}

// The log goes first and comes last: a home that is not whole has none.
void move_in(const Home& home, const path& old, const path& fresh) {
  for (const std::string_view name : kState)
    if (is_name_taken(home.root / name)) move(home.root / name, old / name);
  sync_folder(home.root);
  std::vector<std::string> names = names_in(fresh);
  std::ranges::sort(names, {}, [](const std::string& name) { return name == "log"; });
  for (const std::string& name : names) move(fresh / name, home.root / name);
  sync_folder(home.root);
}

// `names` holds an empty folder for each item that comes in.
void swap_inside(const Home& home, const std::string& aside, const Fill& fill) {
  const path inside = home.root / kInside, fresh = inside / "new", names = inside / "names";
  try {
    for (const path& dir : {inside, fresh, inside / "old", inside / "names.new"}) make_folder(dir);
    fill(fresh);
    make_home_folders(fresh);
    write_file(inside / "aside", view(aside), Existing::Refuse, 0600);
    for (const std::string& name : names_in(fresh)) make_folder(inside / "names.new" / name);
    sync_all(inside);
    move(inside / "names.new", names);
    sync_folder(inside);
    move_in(home, inside / "old", fresh);
    move(names, inside / "done");
    sync_folder(inside);
  } catch (...) {
    settle_inside(home);
    throw;
  }
  settle_inside(home);
}

}  // namespace

bool has_state(const Home& home) { return is_name_taken(home.log()); }

void make_home_folders(const path& root) {
  for (const char* name : {"reports", "approvals", "witness"}) make_folder(root / name);
}

void settle_restore(const Home& home) {
  settle_exchange(home);
  settle_inside(home);
}

bool swap_state(const Home& home, const std::string& aside, const Fill& fill, SwapWay way) {
  settle_restore(home);
  if (is_name_taken(home.root / aside)) throw Error(ErrorKind::Io, (home.root / aside).string() + " exists");
  if (way == SwapWay::Exchange && swap_by_exchange(home, aside, fill))
    settle_exchange(home);
  else
    swap_inside(home, aside, fill);
  return is_name_taken(home.root / aside);
}

}  // namespace qpcseal::site
