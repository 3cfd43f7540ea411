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
// The same in lines of eight words, as they are read aloud; each begins with `indent` and ends the line.
std::string word_lines(ByteView bytes, std::string_view indent);

}  // namespace qpcseal::encoding
