// SPDX-License-Identifier: Apache-2.0
// shell: commands at a prompt, with the PIN asked for once. It ends by itself after a while without a
// command.
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "appliance/cli/commands/batch.h"
#include "appliance/cli/output/act_process.h"
#include "appliance/cli/output/line_editor.h"
#include "base/error.h"
#include "base/print.h"
#include "cli/completion.h"
#include "cli/exit_code.h"

namespace qpcseal::cli {

namespace {

constexpr std::size_t kMaxShellLine = 65536;  // bytes
constexpr int kMostIdle = 24 * 3600;          // seconds

// A line of standard input that is no terminal, without its end. The time without a byte counts.
Input read_shell_line(std::string& line, int idle) {
  line.clear();
  char c = 0;
  while (line.size() < kMaxShellLine) {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    const int ready = poll(&input, 1, idle * 1000);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return Input::Idle;
    const ssize_t got = read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Input::End;
    if (c == '\n') return Input::Line;
    if (c != '\r') line += c;
  }
  throw Error(ErrorKind::Usage, "a line of more than 64 KiB");
}

// One command; its own words say how it ended.
void run_line(const CLI::App& root, AskedPin& pin, const std::string& line) {
  std::vector<std::string> words = split_words(line);
  if (!words.empty() && words.front() == "qpcseal") words.erase(words.begin());  // as documents write it
  if (words.empty()) return;
  const CLI::App* command = named_command(root, words);
  const bool needs_token = command != nullptr && opens_token(*command) && words.back() != "--help";
  const ActResult done = run_act({words, needs_token ? pin.get() : nullptr, false});
  if (needs_token && done.exit_code == exit_code(ErrorKind::Token)) pin.forget();  // it may be the wrong one
  if (done.exit_code != 0) print_error("exit code " + std::to_string(done.exit_code) + "\n");
}

bool is_end(const std::string& line) {
  const std::string word = line.substr(0, line.find(' '));
  return word == "exit" || word == "quit";
}

Report run_shell(Context& context, const CLI::App& root, int idle) {
  AskedPin pin(context.pin_fd, site::AtInterrupt::Throw);
  std::optional<LineEditor> editor;
  if (isatty(STDIN_FILENO) == 1) {
    print_error(
        "Commands as after 'qpcseal', such as 'mek list' or 'mek --help'; TAB completes; 'exit' ends.\n");
    editor.emplace("qpcseal> ", [&root](const std::vector<std::string>& words) {
      return completions(root, words, completed_values);
    });
  }
  std::string line;
  while (true) {
    const Input input = editor ? editor->read(line, idle) : read_shell_line(line, idle);
    if (input == Input::Idle)
      print_error("\nno command for " + std::to_string(idle) +
                  " seconds: the shell ends, and the PIN is forgotten\n");
    if (input != Input::Line || is_end(line)) return {};
    try {
      run_line(root, pin, line == "help" ? "--help" : line);
    } catch (const Error& error) {
      print_failure("qpcseal", error.what(), error.hint());
    }
  }
}

}  // namespace

void add_shell(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("shell", "Commands at a prompt; asks for the token's PIN once");
  const auto idle = std::make_shared<int>(600);
  command->add_option("--idle", *idle, "Seconds without a key after which it ends (default 600)")
      ->check(CLI::Range(1, kMostIdle));
  command->add_option("--pin-fd", context.pin_fd, "Read the token's PIN from this descriptor")
      ->check(CLI::Range(0, 1023));
  command->callback([&app, &context, idle] {
    context.command = [&app, &context, idle] { return run_shell(context, app, *idle); };
  });
}

}  // namespace qpcseal::cli
