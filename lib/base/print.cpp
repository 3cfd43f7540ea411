// SPDX-License-Identifier: Apache-2.0
#include "base/print.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/error.h"
#include "base/terminal.h"
#include "base/text.h"

namespace qpcseal {

namespace {

bool has_reader_left = false;
bool is_output_taken = false;  // by a file's bytes

std::string fit(std::string_view text, int descriptor) {
  return wrap_lines(printable_lines(text), terminal_size(descriptor).columns);
}

void write_error(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stderr); }

void write_to_output(std::string_view bytes) {
  if (has_reader_left) return;
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size() && std::fflush(stdout) == 0) return;
  has_reader_left = errno == EPIPE;
  if (!has_reader_left)
    throw Error(ErrorKind::Io, "standard output: the result could not be written: " + errno_text(errno));
}

}  // namespace

void print(std::string_view text, Lines lines) {
  if (is_output_taken) return print_error(text);
  write_to_output(lines == Lines::Wrap ? fit(text, STDOUT_FILENO) : printable_lines(text));
}

void write_output(std::string_view bytes) {
  if (isatty(STDOUT_FILENO) != 0)
    throw Error(ErrorKind::Usage, "'-' is standard output, and that is a terminal",
                "redirect it to a file or a pipe");
  is_output_taken = true;
  write_to_output(bytes);
}

bool reader_left() { return has_reader_left; }

void print_error(std::string_view text) {
  write_error(fit(text, STDERR_FILENO));
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

void clear_lines(std::size_t above) {
  write_error("\r" + (above == 0 ? "" : "\033[" + std::to_string(above) + "A") + "\033[J");
  std::fflush(stderr);
}

void print_to(int terminal, std::string_view text) {
  const std::string shown = fit(text, terminal);
  if (write(terminal, shown.data(), shown.size()) < 0) throw_errno("/dev/tty");
}

}  // namespace qpcseal
