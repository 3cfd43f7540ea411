// SPDX-License-Identifier: Apache-2.0
#include "base/text_file.h"

#include "base/error.h"
#include "base/fd.h"

namespace qpcseal {

std::string_view wide_encoding(std::string_view text) {
  using namespace std::string_view_literals;
  if (text.starts_with("\xFF\xFE\0\0"sv) || text.starts_with("\0\0\xFE\xFF"sv)) return "UTF-32";
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) return "UTF-16";
  const bool wide = text.size() >= 2 && text.size() % 2 == 0 && (text[0] == 0) != (text[1] == 0);
  return wide ? "UTF-16" : "";
}

void refuse_wide_text(std::string_view text) {
  const std::string encoding(wide_encoding(text));
  if (!encoding.empty())
    throw Error(ErrorKind::Malformed, "this is " + encoding + " text, not UTF-8",
                "iconv -f " + encoding + " -t UTF-8 FILE > NEW");
}

std::string plain_text(std::string_view text) {
  refuse_wide_text(text);
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] != '\r' || i + 1 == text.size() || text[i + 1] != '\n') out += text[i];
  return out;
}

std::string read_plain_text(const std::filesystem::path& path, std::size_t limit) {
  const std::string text = read_text_file(path, limit);  // names the path itself
  return with_context(path.string(), [&] { return plain_text(text); });
}

}  // namespace qpcseal
