// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/line_console.h"

#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/print.h"
#include "base/text.h"

namespace qpcseal::cli {

namespace {

constexpr std::size_t kMaxLine = 1024;  // bytes

[[noreturn]] void stop(const char* why) {
  throw Error(ErrorKind::Usage, std::string("stopped: ") + why,
              "what was done is in the log; 'qpcseal ceremony resume' goes on, with --abandon it ends");
}

// Byte by byte, so that nothing of the next answer is taken.
std::string read_line() {
  std::string out;
  char c = 0;
  while (out.size() <= kMaxLine) {
    const ssize_t got = read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) stop("no answer");
    if (c == '\n') return out;
    if (c != '\r') out += c;
  }
  stop("an answer of more than 1024 bytes");
}

}  // namespace

void LineConsole::say(const std::string& text) { print_error(text); }

std::string LineConsole::ask(const std::string& prompt) {
  say(prompt);
  const std::string answer =
      printable(read_line(), Letters::All);  // the record keeps every language's letters
  if (answer == "stop") stop("as was asked");
  return answer;
}

void NonInteractiveConsole::say(const std::string& text) { print_error(text); }

std::string NonInteractiveConsole::ask(const std::string& prompt) {
  std::string answer = "rehearsal";
  if (prompt.find("'go'") != std::string::npos) answer = "go";
  if (prompt.find("'done'") != std::string::npos) answer = "done";
  if (prompt.find("deviation") != std::string::npos) answer = "";
  say(prompt + answer + "\n");
  return answer;
}

}  // namespace qpcseal::cli
