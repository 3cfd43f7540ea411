// SPDX-License-Identifier: Apache-2.0
#include "policy/glob.h"

namespace qpcseal::policy {

// Remembers the last '*' and lets it swallow one character more whenever the rest does not fit: linear space,
// and no exponential patterns.
bool matches_glob(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool matches_label(std::string_view pattern, std::string_view label) {
  if (pattern.find('#') != std::string_view::npos) return matches_glob(pattern, label);
  return matches_glob(pattern, label.substr(0, label.find('#')));
}

}  // namespace qpcseal::policy
