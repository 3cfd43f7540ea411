// SPDX-License-Identifier: Apache-2.0
#include "base/ownership.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/error.h"
#include "base/text.h"

namespace qpcseal {

namespace {

constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH, kModeBits = 07777;

std::string user_name(uid_t user) {
  const passwd* entry = getpwuid(user);  // NOLINT(concurrency-mt-unsafe): before any thread
  return entry != nullptr ? entry->pw_name : std::to_string(user);
}

bool is_ours(uid_t user) { return user == 0 || user == geteuid(); }

std::string octal(mode_t mode) {
  char out[8];
  std::snprintf(out, sizeof out, "%04o", static_cast<unsigned>(mode & kModeBits));
  return out;
}

void add(std::vector<std::string>& list, std::string text) {
  if (std::ranges::find(list, text) == list.end()) list.push_back(std::move(text));
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}

}  // namespace

void Ownership::look(const std::filesystem::path& path, Place place) {
  if (!seen_.emplace(path, place).second) return;
  struct stat status{};
  if (lstat(path.c_str(), &status) != 0) throw_errno(path.string());
  if (S_ISLNK(status.st_mode)) return;  // its mode says nothing; who may replace it, the folder above says
  const bool sticky = place == Place::Above && (status.st_mode & S_ISVTX) != 0;
  if (!is_ours(status.st_uid)) {
    add(faults_, path.string() + " belongs to user " + user_name(status.st_uid));
    add(of_others_, shell_word(path.string()));
  }
  if ((status.st_mode & kOthersWrite) != 0 && !sticky) {
    add(faults_, path.string() + " may be written by others (mode " + octal(status.st_mode) + ")");
    add(writable_, shell_word(path.string()));
  }
}

void Ownership::check(const std::filesystem::path& path) {
  std::error_code none;
  const std::filesystem::path real = std::filesystem::canonical(path, none);
  if (none == std::errc::no_such_file_or_directory) return;
  if (none) throw Error(ErrorKind::Io, path.string() + ": " + none.message());
  look_at_links(std::filesystem::absolute(path));
  look_above(real);
  look(real, Place::Item);
}

void Ownership::look_above(const std::filesystem::path& real) {
  for (std::filesystem::path above = real.parent_path();; above = above.parent_path()) {
    look(above, Place::Above);
    if (above == above.parent_path()) break;
  }
}

// Whoever may exchange a link on the way decides where it leads: its owner, and who may write to its folder.
void Ownership::look_at_links(const std::filesystem::path& path) {
  for (std::filesystem::path at = path; at != at.parent_path(); at = at.parent_path()) {
    struct stat status{};
    if (lstat(at.c_str(), &status) != 0) throw_errno(at.string());
    if (!S_ISLNK(status.st_mode)) continue;
    if (!is_ours(status.st_uid)) {
      add(faults_, at.string() + " is a link of user " + user_name(status.st_uid));
      add(links_of_others_, shell_word(at.string()));
    }
    look_above(std::filesystem::canonical(at.parent_path()) / at.filename());
    look_at_links(at.parent_path() / std::filesystem::read_symlink(at));
  }
}

void Ownership::check_tree(const std::filesystem::path& dir) {
  check(dir);
  if (!std::filesystem::exists(dir)) return;
  for (const auto& item : std::filesystem::recursive_directory_iterator(dir)) look(item.path(), Place::Item);
}

std::string Ownership::faults() const { return joined(faults_, "; "); }

std::string Ownership::mending() const {
  std::vector<std::string> commands;
  if (!of_others_.empty())
    commands.push_back("chown " + user_name(geteuid()) + " " + joined(of_others_, " "));
  if (!links_of_others_.empty())
    commands.push_back("chown -h " + user_name(geteuid()) + " " + joined(links_of_others_, " "));
  if (!writable_.empty()) commands.push_back("chmod go-w " + joined(writable_, " "));
  return joined(commands, " && ");
}

}  // namespace qpcseal
