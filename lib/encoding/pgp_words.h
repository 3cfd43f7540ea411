// SPDX-License-Identifier: Apache-2.0
// The PGP word list (Zimmermann and Juola, 1995): bytes as words to be read aloud and written down. Words of
// two syllables stand for bytes at even places, of three for odd ones: a word left out, or two changed about,
// is heard.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace qpcseal::encoding {

// One word a byte, with a space between.
std::string to_words(ByteView bytes);
// The same in columns, as they are read aloud: in lines of eight, four or two words, as many as fit into
// `columns`; each begins with `indent` and ends the line.
std::string word_lines(ByteView bytes, std::string_view indent, std::size_t columns = 80);

}  // namespace qpcseal::encoding
