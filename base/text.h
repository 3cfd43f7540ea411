// Text that came from outside, made fit for where it is shown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qpcseal {

// For a terminal: control and non-ASCII bytes as \xNN.
std::string printable(std::string_view text);

// As one word of a POSIX shell's command, quoted where it must be; bytes that are not printable as
// printable().
std::string shell_word(std::string_view text);

// "a, b, c".
std::string join(const std::vector<std::string>& words);

// For an HTML page, in attributes too: what could be read as markup is escaped, control bytes but line feeds
// are \xNN, UTF-8 stays.
std::string html_text(std::string_view text);

}  // namespace qpcseal
