// SPDX-License-Identifier: Apache-2.0
// Text files as people bring them. Editors and mail programs of other systems end lines with CR LF, put a
// byte order mark before the text, or write UTF-16.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace qpcseal {

// The UTF-8 byte order mark.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// "UTF-16" or "UTF-32", by a byte order mark or by the zero byte of a first ASCII character; else empty.
std::string_view wide_encoding(std::string_view text);
// Error{Malformed} for such a text, with the command that converts it. For files whose bytes count as they
// are, because people sign them.
void refuse_wide_text(std::string_view text);

// `text` without a byte order mark, each CR LF as LF. Error{Malformed} for UTF-16 and UTF-32.
std::string plain_text(std::string_view text);
// A whole file, at most `limit` bytes, as plain_text() gives it. Errors name the path.
std::string read_plain_text(const std::filesystem::path& path, std::size_t limit);

}  // namespace qpcseal
