// SPDX-License-Identifier: Apache-2.0
#include "base/print.h"

#include <unistd.h>

#include <cstdio>

#include "base/error.h"
#include "base/text.h"

namespace qpcseal {

namespace {

void write_error(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stderr); }

}  // namespace

void print(std::string_view text) {
  const std::string shown = printable_lines(text);
  if (std::fwrite(shown.data(), 1, shown.size(), stdout) != shown.size() || std::fflush(stdout) != 0)
    throw Error(ErrorKind::Io, "standard output: the result could not be written");
}

void print_error(std::string_view text) {
  write_error(printable_lines(text));
  std::fflush(stderr);
}

void print_failure(std::string_view program, std::string_view message, std::string_view hint) {
  print_error(std::string(program) + ": error: " + printable(message) + "\n");
  if (!hint.empty()) print_error("hint: " + printable(hint) + "\n");
}

void draw_line(std::string_view text) {
  write_error("\r" + printable(text) + "\033[K");
  std::fflush(stderr);
}

void print_to(int terminal, std::string_view text) {
  const std::string shown = printable_lines(text);
  if (write(terminal, shown.data(), shown.size()) < 0) throw_errno("/dev/tty");
}

}  // namespace qpcseal
