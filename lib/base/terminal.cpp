// SPDX-License-Identifier: Apache-2.0
#include "base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"

namespace qpcseal {

namespace {

// Where the rest of a broken line begins: below the last of a table's columns that starts in the left half,
// else below the line's first word.
std::size_t hanging_indent(std::string_view line, std::size_t columns) {
  std::size_t out = std::min(line.find_first_not_of(' '), line.size());
  for (std::size_t gap = line.find("  ", out); gap != std::string_view::npos; gap = line.find("  ", gap)) {
    gap = std::min(line.find_first_not_of(' ', gap), line.size());
    const std::size_t column = display_width(line.substr(0, gap));
    if (column > columns / 2 || gap == line.size()) break;
    out = column;
  }
  return out <= columns / 2 ? out : 0;
}

void wrap_line(std::string_view line, std::size_t columns, std::string& out) {
  const std::size_t indent = hanging_indent(line, columns);
  std::size_t used = 0;
  bool has_word = false;  // in this line of the screen
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t word = std::min(line.find_first_not_of(' ', at), line.size());
    const std::size_t end = std::min(line.find(' ', word), line.size());
    const std::size_t blanks = word - at, width = display_width(line.substr(word, end - word));
    if (has_word && width > 0 && used + blanks + width > columns) {
      out += '\n' + std::string(indent, ' ');
      used = indent;
    } else {
      out.append(blanks, ' ');
      used += blanks;
    }
    out += line.substr(word, end - word);
    used += width;
    has_word = true;
    at = end;
  }
}

// Of the letter that begins with this byte; 0 for a byte within one.
std::size_t room_of_letter(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  if ((value & 0xc0U) == 0x80) return 0;
  return value < 0x80 ? 1 : 2;
}

}  // namespace

TerminalSize terminal_size(int descriptor) {
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) != 0) return {};
  return {size.ws_col, size.ws_row};
}

std::size_t text_columns() {
  constexpr std::size_t kUsual = 80;
  const std::size_t out = terminal_size(STDOUT_FILENO).columns;
  const std::size_t columns = out > 0 ? out : terminal_size(STDERR_FILENO).columns;
  return columns > 0 ? columns : kUsual;
}

std::string wrap_lines(std::string_view text, std::size_t columns) {
  if (columns == 0) return std::string(text);
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (display_width(line) <= columns)
      out += line;
    else
      wrap_line(line, columns, out);
    if (end < text.size()) out += '\n';
    at = end + 1;
  }
  return out;
}

std::size_t room_of(std::string_view text) {
  std::size_t out = 0;
  for (const char byte : text) out += room_of_letter(byte);
  return out;
}

std::vector<std::string> cut(std::string_view line, std::size_t columns) {
  std::vector<std::string> out;
  std::size_t begin = 0, used = 0;
  for (std::size_t at = 0; at < line.size(); ++at) {
    const std::size_t room = room_of_letter(line[at]);
    if (room > 0 && used + room > columns && at > begin) {
      out.emplace_back(line.substr(begin, at - begin));
      begin = at;
      used = 0;
    }
    used += room;
  }
  out.emplace_back(line.substr(begin));
  return out;
}

}  // namespace qpcseal
