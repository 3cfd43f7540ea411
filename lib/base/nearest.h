// SPDX-License-Identifier: Apache-2.0
// What a mistyped word was meant to be.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace qpcseal {

// The known word with the fewest changes (letters put in, left out, exchanged, swapped), or that begins with
// `word`; nothing where none is near: at most a third of its letters differ.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known);
// "did you mean 'list'?"; empty where nothing is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);
// `error`, about a word that is not known. Its hint names the known word that is near, where there is one.
Error with_nearest(const Error& error, std::string_view word, const std::vector<std::string>& known);

}  // namespace qpcseal
