// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/confinement.h"

#include <algorithm>
#include <array>
#include <set>

#include "appliance/cli/token_files.h"
#include "appliance/site/home.h"
#include "appliance/site/pin_login.h"
#include "appliance/site/running_image.h"
#include "base/error.h"
#include "cli/named_files.h"
#include "confine/launcher.h"
#include "process/harden.h"
#include "process/system_calls.h"

namespace qpcseal::cli {

namespace {

using std::filesystem::path;

// Options whose value is written, or names a folder in which the command writes.
constexpr std::array<std::string_view, 6> kWritten = {"--output",        "--output-dir", "--input-dir",
                                                      "--encrypted-qpc", "--dir",        "--parts-to"};
bool has(const CLI::App& command, const char* option) {
  return command.get_option_no_throw(option) != nullptr;
}

void append(std::vector<path>& to, const std::vector<path>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

// Signatures lie beside what is signed, and `--shred` overwrites a file and takes its name away.
bool writes_beside_its_arguments(const CLI::App& command) {
  return has(command, "--yes-digest") ||
         (has(command, "--shred") && command.get_option("--shred")->count() > 0);
}

void add_named(process::FileAccess& to, const CLI::App& command) {
  const NamedFiles named = named_files(command, kWritten);
  append(to.read, named.read);
  append(to.write, named.write);
  if (writes_beside_its_arguments(command))
    for (const CLI::Option* option : command.get_options())
      if (option->get_positional())
        for (const std::string& value : option->results()) to.write.push_back(folder_of(value));
  // A ceremony's steps write in the current folder where none is named, and a rehearsal's in one of its own.
  if (has(command, "--dir") && command.get_option("--dir")->count() == 0)
    to.write.push_back(std::filesystem::current_path());
  if (command.get_name() == "rehearse") to.write.push_back(std::filesystem::temp_directory_path());
}

std::set<int> given_descriptors(const CLI::App& command, std::span<char* const> words) {
  std::set<int> out = process::named_descriptors(words);
  for (const char* name : {"--pin-fd", "--new-pin-fd"})
    if (has(command, name) && command.get_option(name)->count() > 0)
      out.insert(command.get_option(name)->as<int>());
  return out;
}

// An init that fails removes the home that it made: an empty folder in the one above.
void add_home(process::FileAccess& to, const path& home) {
  to.write.push_back(home);
  to.remove_folders.push_back(home.parent_path());
}

void add_own_home(process::FileAccess& to) {
  try {
    add_home(to, site::locate_home().root);
  } catch (const Error&) {
    return;  // the command needs none, or says what is wrong
  }
}

// `status` hashes the module, wherever it lies, and does not load it; and looks at the PIN's file.
void add_module_to_read(process::FileAccess& to) {
  try {
    const site::Site site = site::Site::read(site::locate_home().site());
    to.read.push_back(std::filesystem::weakly_canonical(site.module).parent_path());
    if (const auto pin = site::pin_file_path(site.pin_source)) to.read.push_back(*pin);
    to.read.push_back(path(site.module).parent_path());
  } catch (const Error&) {
    return;  // the command says what is wrong
  }
}

// A restored home is made beside the one that it replaces; on a new machine, in the nearest folder that is
// there.
void add_restored_home(process::FileAccess& to) {
  path dir = folder_of(site::locate_home().root);
  while (!std::filesystem::exists(dir)) dir = dir.parent_path();
  to.write.push_back(dir);
}

// Without a token, and yet it may run a program in a sandbox: a verifier that the site's facts pin, or the
// vendor's tool.
bool runs_programs(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  const std::string name = (parent == nullptr ? "" : parent->get_name()) + " " + command.get_name();
  return name == "attest verify" || name == "policy diff" ||
         (command.get_name() == "replace-mek" && command.get_option("--format")->count() > 0);
}

void start_launcher(std::optional<std::vector<std::string>> programs) {
  confine::start_launcher(
      {std::move(programs), [] { static_cast<void>(process::filter_calls(process::Calls::Launcher)); }});
}

process::Calls calls_without_token(bool launched) {
  return launched ? process::Calls::FilesAndMessages : process::Calls::Files;
}

}  // namespace

void Confinement::begin(const CLI::App& app, std::span<char* const> words) {
  const CLI::App& command = chosen_command(app);
  process::close_others(given_descriptors(command, words));
  memory_locked_ = process::lock_memory();
  files_ = process::system_files();
  if (const path verity = site::verity_file(); !verity.empty()) files_.read.push_back(verity);
  add_named(files_, command);
  const bool with_token = has(command, "--pin-fd");
  const bool launched = !with_token && runs_programs(command);
  if (launched) start_launcher(std::nullopt);
  if (!process::filter_calls(with_token ? process::Calls::Common : calls_without_token(launched)))
    lacking_.emplace_back("system calls");
  if (with_token) return;
  add_own_home(files_);
  if (command.get_name() == "restore") add_restored_home(files_);
  if (command.get_name() == "status") add_module_to_read(files_);
  limit_files();
}

void Confinement::before_module(const ModuleNeeds& needs) {
  if (limited_) return;
  network_ = needs.network;
  if (!needs.programs.empty()) start_launcher(needs.programs);
  if (lacking_.empty())
    static_cast<void>(process::filter_calls(network_ ? process::Calls::Network : process::Calls::Token));
  add_token_files(files_);
  append(files_.write, paths_in(needs.arguments));
  for (const std::string& file : needs.files) files_.write.emplace_back(file);
  // Both where it is a link: the file lies in one, and what it loads may lie in the other.
  files_.read.push_back(std::filesystem::weakly_canonical(needs.module).parent_path());
  files_.read.push_back(path(needs.module).parent_path());
  if (const auto pin = site::pin_file_path(needs.pin_source)) files_.write.push_back(folder_of(*pin));
  add_own_home(files_);
  if (!needs.home.empty()) add_home(files_, needs.home);  // a rehearsal's is another one
  limit_files();
}

void Confinement::limit_files() {
  if (!process::restrict_files(files_)) lacking_.emplace_back("files");
  limited_ = true;
}

std::string Confinement::text() const {
  const auto can = [&](const char* what) { return std::ranges::find(lacking_, what) == lacking_.end(); };
  std::string out = "no dumps, no new privileges, ";
  out +=
      can("system calls") ? "system calls filtered (seccomp), " : "system calls NOT filtered (no seccomp), ";
  out += can("files") ? "files limited (Landlock " + std::to_string(process::landlock_version()) + "), "
                      : "files NOT limited (no Landlock), ";
  out += network_ ? "network sockets for the module, " : "no network, ";
  out += memory_locked_ ? "all memory locked" : "secrets alone locked in memory (ulimit -l)";
  return out;
}

}  // namespace qpcseal::cli
