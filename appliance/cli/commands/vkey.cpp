// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/commands/vkey.h"

#include <algorithm>

#include "base/error.h"
#include "base/text_file.h"
#include "encoding/file_kind.h"

namespace qpcseal::cli {

namespace {

constexpr std::size_t kMaxVkeyFile = 65536;  // bytes; a file of another kind is named

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(kBlanks) - first + 1));
}

bool is_vkey(std::string_view text) { return std::ranges::count(text, '+') >= 2; }

}  // namespace

std::string vkey_text(const std::string& key_or_file) {
  std::error_code ignored;
  if (is_vkey(key_or_file) && !std::filesystem::is_regular_file(key_or_file, ignored))
    return trimmed(key_or_file);
  if (!std::filesystem::exists(key_or_file, ignored))
    throw Error(ErrorKind::Io,
                "'" + key_or_file + "' is neither a verification key (name+id+key) nor a file");
  std::string text = trimmed(read_plain_text(key_or_file, kMaxVkeyFile));
  with_context(key_or_file, [&] {
    encoding::refuse_other_kind(view(text + "\n"), "a verification key",
                                "'qpcseal trust show --log-key' prints the appliance's");
  });
  if (!is_vkey(text) || text.find('\n') != std::string::npos)
    throw Error(ErrorKind::Malformed, key_or_file + ": not one line with a verification key, name+id+key");
  return text;
}

}  // namespace qpcseal::cli
