// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/act_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "base/error.h"
#include "base/pipe.h"
#include "base/program.h"
#include "base/retry.h"
#include "base/signals.h"

namespace qpcseal::cli {

namespace {

constexpr int kPinDescriptor = 3;                          // in the act
constexpr std::size_t kMaxOutput = std::size_t{64} << 20;  // bytes

volatile std::sig_atomic_t act_pid = 0, act_signal = 0;

void hand_on(int signal) {
  act_signal = signal;
  if (act_pid > 0) kill(act_pid, signal);
}

// The PIN and a line feed fit into a pipe.
void put_pin(Pipe& pipe, const SecretBuffer& pin) {
  SecretBuffer line(pin.size() + 1);
  std::copy(pin.bytes().begin(), pin.bytes().end(), line.bytes().begin());
  line.bytes()[pin.size()] = '\n';
  const auto put =
      retry_interrupted([&] { return write(pipe.write.get(), line.bytes().data(), line.size()); });
  if (put != static_cast<ssize_t>(line.size())) throw_errno("the PIN cannot be handed on");
  pipe.write.close();
}

class FileActions {
 public:
  FileActions() { posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  void dup(const Fd& from, int to) { posix_spawn_file_actions_adddup2(&actions_, from.get(), to); }
  void empty_input() { posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0); }
  [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

pid_t start(const std::vector<std::string>& words, const FileActions& actions) {
  std::vector<std::string> all{"qpcseal"};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> arguments;
  for (std::string& word : all) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t out = 0;
  const UserUmask umask_of_outputs;
  const int failed = posix_spawn(&out, "/proc/self/exe", actions.get(), nullptr, arguments.data(), environ);
  if (failed != 0) throw Error(ErrorKind::Io, "the act cannot be started: " + errno_text(failed));
  return out;
}

std::string read_all(const Fd& from) {
  std::string out;
  std::array<char, 65536> piece{};
  while (true) {
    const ssize_t got = retry_interrupted([&] { return read(from.get(), piece.data(), piece.size()); });
    if (got <= 0) return out;
    if (out.size() < kMaxOutput) out.append(piece.data(), static_cast<std::size_t>(got));
  }
}

int wait_for(pid_t pid) {
  constexpr int kBySignal = 128;
  int status = 0;
  if (retry_interrupted([&] { return waitpid(pid, &status, 0); }) < 0) throw_errno("waitpid");
  return WIFSIGNALED(status) ? kBySignal + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

ActResult run_act(const ActProcess& act) {
  FileActions actions;
  Pipe pin, output;
  std::vector<std::string> words = act.words;
  if (act.pin != nullptr) {
    put_pin(pin, *act.pin);
    actions.dup(pin.read, kPinDescriptor);
    words.insert(words.end(), {"--pin-fd", std::to_string(kPinDescriptor)});
  }
  if (act.capture) {
    actions.dup(output.write, STDOUT_FILENO);
    actions.empty_input();
  }
  act_pid = 0;
  act_signal = 0;
  const SignalHandlers handlers({SIGINT, SIGTERM, SIGHUP}, hand_on, SA_RESTART);
  const pid_t pid = start(words, actions);
  act_pid = pid;
  if (act_signal != 0) kill(pid, act_signal);  // it came before there was anybody to hand it to
  output.write.close();
  ActResult out;
  if (act.capture) out.output = read_all(output.read);
  out.exit_code = wait_for(pid);
  act_pid = 0;
  out.interrupted = act_signal != 0;
  return out;
}

std::vector<std::string> split_words(const std::string& line) {
  std::vector<std::string> out;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote == 0 && (c == ' ' || c == '\t')) {
      if (in_word) out.push_back(std::exchange(word, {}));
      in_word = false;
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
      in_word = true;
    } else if (c == quote) {
      quote = 0;
    } else if (c == '\\' && quote != '\'' && i + 1 < line.size()) {
      word += line[++i];
      in_word = true;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != 0) throw Error(ErrorKind::Usage, std::string("the quote ") + quote + " does not end");
  if (in_word) out.push_back(word);
  return out;
}

}  // namespace qpcseal::cli
