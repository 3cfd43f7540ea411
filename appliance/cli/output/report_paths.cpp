// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/report_paths.h"

#include <algorithm>
#include <sstream>

#include "appliance/release/verdict.h"
#include "appliance/site/home.h"
#include "base/error.h"
#include "base/file.h"
#include "base/file_name.h"
#include "base/text_file.h"

namespace qpcseal::cli {

namespace {

using std::filesystem::path;

constexpr std::size_t kMaxList = std::size_t{8} << 20;  // bytes
constexpr std::size_t kMaxReports = 20000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The number that begins at `at`, without leading zeros; `at` moves behind it.
std::string_view take_number(std::string_view text, std::size_t& at) {
  while (at < text.size() && text[at] == '0') ++at;
  const std::size_t start = at;
  while (at < text.size() && is_digit(text[at])) ++at;
  return text.substr(start, at - start);
}

// node-2 before node-10: the order of names may be that of cards.
bool comes_before(const path& left, const path& right) {
  const std::string a = left.filename().string(), b = right.filename().string();
  std::size_t i = 0, k = 0;
  while (i < a.size() && k < b.size()) {
    if (!is_digit(a[i]) || !is_digit(b[k])) {
      if (a[i] != b[k]) return a[i] < b[k];
      ++i, ++k;
      continue;
    }
    const std::string_view x = take_number(a, i), y = take_number(b, k);
    if (x != y) return x.size() != y.size() ? x.size() < y.size() : x < y;
  }
  return a.size() - i != b.size() - k ? a.size() - i < b.size() - k : a < b;
}

std::vector<path> in_folder(const path& dir) {
  std::vector<path> out;
  for (const auto& item : std::filesystem::directory_iterator(dir)) {
    const path& file = item.path();
    if (file.filename().string().starts_with(".")) continue;
    if (file.extension() == ".report" || file.extension() == ".dat") out.push_back(file);
  }
  std::ranges::sort(out, comes_before);
  if (out.empty())
    throw Error(ErrorKind::Usage, dir.string() + ": no report in it",
                "reports are its *.report and *.dat files");
  return out;
}

// The list came on a medium that others may have had: it names files beside it, and none elsewhere.
path beside(const path& list, const std::string& name) {
  if (name.find('\0') != std::string::npos) throw Error(ErrorKind::Malformed, "a name with a zero byte");
  if (name.find('/') != std::string::npos || name.front() == '.')
    throw Error(ErrorKind::Malformed, "'" + name + "' is not the name of a file beside the list",
                "name the folder of the reports instead of a list, or put the list beside them");
  return parent_dir(list) / name;  // never "-" alone
}

std::vector<path> in_list(const path& list) {
  std::istringstream lines(read_plain_text(list, kMaxList));
  std::vector<path> out;
  std::string line;
  std::uint64_t number = 0;
  while (std::getline(lines, line)) {
    ++number;
    if (line.empty() || line.front() == '#') continue;
    out.push_back(
        with_context(list.string() + ":" + std::to_string(number), [&] { return beside(list, line); }));
  }
  if (out.empty()) throw Error(ErrorKind::Usage, list.string() + ": no report in the list");
  return out;
}

// Whether this home's policy names a verifier of the site's. Only for an early word: the release asks the
// policy in force, and refuses such a report before anything is kept or logged.
bool may_have_any_form() {
  try {
    const site::Home home = site::locate_home();
    return release::names_external(
        policy::parse_policy(read_text_file(home.policy(), policy::kMaxPolicySize)));
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::vector<path> report_paths(const std::vector<std::string>& arguments) {
  std::vector<path> out;
  for (const std::string& argument : arguments) {
    std::vector<path> more{argument};
    if (argument.starts_with('@')) {
      more = in_list(argument.substr(1));
    } else if (std::filesystem::is_directory(argument)) {
      more = in_folder(argument);
    }
    out.insert(out.end(), more.begin(), more.end());
  }
  if (out.size() > kMaxReports)
    throw Error(ErrorKind::Usage,
                std::to_string(out.size()) + " reports; at most " + std::to_string(kMaxReports));
  return out;
}

std::vector<release::Report> read_reports(const std::vector<path>& paths) {
  std::vector<release::Report> out;
  const bool any_form = may_have_any_form();
  for (const path& report : paths) out.push_back(release::read_report(report, any_form));
  return out;
}

std::vector<Sha256Digest> report_digests(const std::vector<std::string>& arguments) {
  std::vector<Sha256Digest> out;
  for (const release::Report& report : read_reports(report_paths(arguments))) out.push_back(report.digest);
  return out;
}

std::vector<std::string> requests_without_report(const std::vector<std::string>& arguments) {
  std::vector<std::string> out;
  for (const std::string& argument : arguments) {
    if (!std::filesystem::is_directory(argument)) continue;
    for (const auto& item : std::filesystem::directory_iterator(argument)) {
      path report = item.path();
      if (report.extension() == ".request" && !std::filesystem::exists(report.replace_extension(".report")))
        out.push_back(item.path().filename().string());
    }
  }
  std::ranges::sort(out, comes_before);
  return out;
}

}  // namespace qpcseal::cli
