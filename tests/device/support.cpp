// SPDX-License-Identifier: Apache-2.0
#include "tests/device/support.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "device/card/certificates.h"

namespace qpcseal::testing {
namespace {

constexpr std::size_t kMaxFile = 1U << 20;

::pid_t spawn(const std::vector<std::string>& command, const std::string& out, const std::string& err) {
  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
  ::pid_t pid = -1;
  const int failure = ::posix_spawn(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) throw Error(ErrorKind::Internal, words[0] + ": " + errno_text(failure));
  return pid;
}

int wait_for(::pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string text_from(const std::filesystem::path& path) { return read_text_file(path, kMaxFile); }

}  // namespace

TempFolder::TempFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "qpcseal-device-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw_errno(pattern);
  path_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Cards::Cards(device::ProvisionOptions options) : dir(folder / "cards") {
  options.dir = dir;
  options.roots_out = folder / "root.pem";
  device::provision(options, SystemClock());
}

attest::VerifyContext Cards::context() const {
  const Bytes root = device::parse_pem_chain(read_file(folder / "root.pem", kMaxFile)).front();
  return {now(), {{root}, {sha256(root)}, {}}};
}

UnixTime now() { return SystemClock().now(); }

attest::Request make_request() {
  attest::Request out;
  out.aud = SystemRandom().bytes(16);
  out.nonce = SystemRandom().bytes(32);
  out.mek_id = SystemRandom().bytes(16);
  out.expiry = now() + 3600;
  out.key_types = {attest::SessionKeyType::P256, attest::SessionKeyType::P384, attest::SessionKeyType::Rsa};
  return out;
}

std::string write_request(const std::filesystem::path& path, const attest::Request& request) {
  write_file(path, attest::encode_request(request), Existing::Replace);
  return path.string();
}

Outcome run(const std::vector<std::string>& command) {
  const TempFolder folder;
  Outcome out;
  out.code = wait_for(spawn(command, (folder / "out").string(), (folder / "err").string()));
  out.out = text_from(folder / "out");
  out.err = text_from(folder / "err");
  return out;
}

Server::Server(const Cards& cards) {
  const std::filesystem::path port = cards.folder / "port";
  pid_ = spawn(
      {QPCSEAL_DEVICE, "serve", "--dir", cards.dir.string(), "--port", "0", "--port-file", port.string()},
      "/dev/null", (cards.folder / "serve.err").string());
  for (int tries = 0; tries < 200 && !std::filesystem::exists(port); ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  port_ = text_from(port);
  port_.pop_back();  // the line's end
}

Server::~Server() { static_cast<void>(stop(SIGKILL)); }

int Server::stop(int signal) {
  if (pid_ < 0) return -1;
  ::kill(pid_, signal);
  const int code = wait_for(pid_);
  pid_ = -1;
  return code;
}

}  // namespace qpcseal::testing
