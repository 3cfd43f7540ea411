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
  const bool ours = status.st_uid == 0 || status.st_uid == geteuid();
  const bool sticky = place == Place::Above && (status.st_mode & S_ISVTX) != 0;
  if (!ours) {
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
  for (std::filesystem::path above = real.parent_path();; above = above.parent_path()) {
    look(above, Place::Above);
    if (above == above.parent_path()) break;
  }
  look(real, Place::Item);
}

void Ownership::check_tree(const std::filesystem::path& folder) {
  check(folder);
  if (!std::filesystem::exists(folder)) return;
  for (const auto& item : std::filesystem::recursive_directory_iterator(folder))
    look(item.path(), Place::Item);
}

std::string Ownership::faults() const { return joined(faults_, "; "); }

std::string Ownership::mending() const {
  std::vector<std::string> commands;
  if (!of_others_.empty())
    commands.push_back("chown " + user_name(geteuid()) + " " + joined(of_others_, " "));
  if (!writable_.empty()) commands.push_back("chmod go-w " + joined(writable_, " "));
  return joined(commands, " && ");
}

}  // namespace qpcseal
