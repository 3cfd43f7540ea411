// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/random.h"

namespace qpcseal::bench {

namespace {

std::string random_name() {
  SystemRandom random;
  return "qpcseal-bench-" + to_hex(random.bytes(6));
}

std::string text_of_file(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) throw_errno("waitpid");
  return status;
}

}  // namespace

void run_process(const Command& command, const std::filesystem::path& output) {
  const std::filesystem::path errors = std::filesystem::temp_directory_path() / random_name();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.empty() ? "/dev/null" : output.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(), O_WRONLY | O_CREAT | O_EXCL,
                                   0600);
  std::vector<char*> arguments;
  for (const std::string& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  const int status = failed == 0 ? wait_for(child) : -1;
  const std::string said = text_of_file(errors);
  std::filesystem::remove(errors);
  if (status != 0) throw Error(ErrorKind::Internal, command[0] + " failed: " + said);
}

double peak_memory(const Command& command) {
  const std::filesystem::path note = std::filesystem::temp_directory_path() / random_name();
  Command timed{"/usr/bin/time", "--format=%M", "--output=" + note.string()};
  timed.insert(timed.end(), command.begin(), command.end());
  run_process(timed);
  const std::string text = text_of_file(note);
  std::filesystem::remove(note);
  return std::stod(text) / 1024;
}

bool is_installed(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');)
    if (access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  return false;
}

Workspace::Workspace() {
  const std::filesystem::path memory = "/dev/shm";
  const bool usable = access(memory.c_str(), W_OK) == 0;
  path_ = (usable ? memory : std::filesystem::temp_directory_path()) / random_name();
  make_folder(path_, 0700);
}

Workspace::~Workspace() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void Workspace::remove(const std::string& name) const { std::filesystem::remove_all(path_ / name); }

}  // namespace qpcseal::bench
