// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/line_console.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/print.h"
#include "base/text.h"

namespace qpcseal::cli {

namespace {

constexpr std::size_t kMaxLine = 1024;  // bytes

volatile std::sig_atomic_t stop_signal = 0;

void note_stop_signal(int signal) { stop_signal = signal; }

[[noreturn]] void stop(const char* why, ErrorKind kind = ErrorKind::Usage) {
  throw Error(kind, std::string("stopped: ") + why,
              "what was done is in the log; 'qpcseal ceremony resume' goes on, with --abandon it ends");
}

[[noreturn]] void stop_by_signal(int signal) {
  print_error("\n");  // the prompt has the line
  if (signal == SIGINT) stop("interrupted (Ctrl-C)", ErrorKind::Interrupted);
  if (signal == SIGHUP) stop("the terminal was closed", ErrorKind::Interrupted);
  stop("the program was told to end (SIGTERM)", ErrorKind::Interrupted);
}

// Until there is input, or its end. A signal that comes just before the call is seen after half a second.
void await_input() {
  constexpr int kPause = 500;  // milliseconds
  pollfd input{STDIN_FILENO, POLLIN, 0};
  int ready = 0;
  while (ready == 0) {
    if (stop_signal != 0) stop_by_signal(stop_signal);
    ready = poll(&input, 1, kPause);
    if (ready < 0 && errno == EINTR) ready = 0;
  }
}

// Byte by byte, so that nothing of the next answer is taken.
std::string read_line() {
  std::string out;
  char c = 0;
  while (out.size() <= kMaxLine) {
    await_input();
    const ssize_t got = read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) stop("the input ended");
    if (c == '\n') return out;
    if (c != '\r') out += c;
  }
  stop("an answer of more than 1024 bytes");
}

}  // namespace

LineConsole::LineConsole()
    : signals_({SIGINT, SIGTERM, SIGHUP}, note_stop_signal, static_cast<int>(SA_RESETHAND | SA_RESTART)) {}

void LineConsole::say(const std::string& text) { print_error(text); }

std::string LineConsole::ask(const std::string& prompt) {
  say(prompt);
  const std::string answer =
      printable(read_line(), Letters::All);  // the record keeps every language's letters
  if (answer == "stop") stop("'stop' was typed");
  return answer;
}

void NonInteractiveConsole::say(const std::string& text) { print_error(text); }

std::string NonInteractiveConsole::ask(const std::string& prompt) {
  std::string answer = "rehearsal";
  if (prompt.find("'go'") != std::string::npos) answer = "go";
  if (prompt.find("'done'") != std::string::npos) answer = "done";
  if (prompt.find(" Yes ") != std::string::npos) answer = "Yes";
  if (prompt.find("deviation") != std::string::npos) answer = "";
  say(prompt + answer + "\n");
  return answer;
}

}  // namespace qpcseal::cli
