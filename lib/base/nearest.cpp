// SPDX-License-Identifier: Apache-2.0
#include "base/nearest.h"

#include <algorithm>

namespace qpcseal {

namespace {

// Optimal string alignment.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t k = 0; k <= b.size(); ++k) cost[0][k] = k;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t k = 1; k <= b.size(); ++k) {
      const std::size_t differs = a[i - 1] == b[k - 1] ? 0 : 1;
      cost[i][k] = std::min({cost[i - 1][k] + 1, cost[i][k - 1] + 1, cost[i - 1][k - 1] + differs});
      const bool swapped = i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1];
      if (swapped) cost[i][k] = std::min(cost[i][k], cost[i - 2][k - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known) {
  std::optional<std::string> out;
  std::size_t best = word.size() / 3 + 2;  // one more than may differ
  for (const std::string& one : known) {
    const bool begun = word.size() >= 3 && one.starts_with(word);
    const std::size_t changes = begun ? 1 : distance(word, one);
    if (changes >= best || changes >= one.size()) continue;
    best = changes;
    out = one;
  }
  return out;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  const auto meant = nearest(word, known);
  return meant ? "did you mean '" + *meant + "'?" : std::string();
}

Error with_nearest(const Error& error, std::string_view word, const std::vector<std::string>& known) {
  const std::string meant = did_you_mean(word, known);
  return meant.empty() ? error : error.with_hint(meant);
}

}  // namespace qpcseal
