// SPDX-License-Identifier: Apache-2.0
#include "cli/named_files.h"

#include <algorithm>
#include <string>

namespace qpcseal::cli {

namespace {

using std::filesystem::path;

void add_existing(NamedFiles& to, const std::string& value) {
  std::error_code ignored;
  if (!value.empty() && std::filesystem::exists(value, ignored)) to.read.emplace_back(value);
}

void add_read(NamedFiles& to, const std::string& value) {
  constexpr std::string_view kFile = "file:";
  add_existing(to, value.starts_with(kFile) ? value.substr(kFile.size()) : value);
  if (const std::size_t at = value.find('='); at != std::string::npos) add_existing(to, value.substr(at + 1));
}

void add_written(NamedFiles& to, std::string value) {
  while (value.size() > 1 && value.ends_with('/')) value.pop_back();
  if (value.empty()) return;
  // Folders above it are made where they lack.
  std::error_code ignored;
  path dir = folder_of(value);
  while (!std::filesystem::exists(dir, ignored) && dir.has_relative_path()) dir = dir.parent_path();
  to.write.push_back(dir);
  if (std::filesystem::exists(value, ignored)) to.write.emplace_back(value);  // a link may lead elsewhere
}

}  // namespace

const CLI::App& chosen_command(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  return *at;
}

path folder_of(const path& file) {
  const path whole = std::filesystem::absolute(file).lexically_normal();
  const path dir = whole.has_filename() ? whole.parent_path() : whole.parent_path().parent_path();  // "a/."
  return dir.empty() ? path("/") : dir;
}

NamedFiles named_files(const CLI::App& command, std::span<const std::string_view> written) {
  NamedFiles out;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_items_expected_max() == 0) continue;  // a flag
    const bool writes = std::ranges::any_of(
        written, [&](std::string_view name) { return option->check_name(std::string(name)); });
    for (const std::string& value : option->results())
      writes ? add_written(out, value) : add_read(out, value);
  }
  return out;
}

}  // namespace qpcseal::cli
