// SPDX-License-Identifier: Apache-2.0
// Batch files.
#include <charconv>
#include <sstream>

#include "attest/devices.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text_file.h"
#include "courier/courier.h"

namespace qpcseal::courier {
namespace {

constexpr std::size_t kMaxBatch = 4U << 20;  // bytes

int parse_port(const std::string& text) {
  int out = 0;
  const char* const end = text.data() + text.size();
  const auto [at, failure] = std::from_chars(text.data(), end, out);
  if (failure != std::errc() || at != end || out < 1 || out > 65535)
    throw Error(ErrorKind::Malformed, "'" + text + "' is no port");
  return out;
}

// A file beside the batch, by a plain name: the batch came on a medium that others may have had.
std::filesystem::path beside(const std::filesystem::path& dir, const std::string& name) {
  if (name.find('/') != std::string::npos || name.front() == '.')
    throw Error(ErrorKind::Malformed, "'" + name + "' is not the name of a file beside the batch");
  return (dir.empty() ? std::filesystem::path(".") : dir) / name;  // never "-" alone
}

Errand parse_line(const std::string& line, const std::filesystem::path& dir) {
  std::istringstream words(line);
  std::string ip, port, device, request, report, more;
  words >> ip >> port >> device >> request >> report;
  if (report.empty() || words >> more)
    throw Error(ErrorKind::Malformed, "not the five words IP PORT DEVICE REQUEST REPORT");
  const std::vector<unsigned> devices = attest::parse_devices(device);
  if (devices.size() != 1) throw Error(ErrorKind::Malformed, "'" + device + "' is more than one card");
  return {{ip, parse_port(port)}, devices.front(), beside(dir, request), beside(dir, report)};
}

}  // namespace

std::vector<Errand> read_batch(const std::filesystem::path& path) {
  std::istringstream text(read_plain_text(path, kMaxBatch));
  std::vector<Errand> out;
  std::string line;
  for (int number = 1; std::getline(text, line); ++number) {
    const std::size_t start = line.find_first_not_of(" \t\r");
    if (start == std::string::npos || line[start] == '#') continue;
    out.push_back(with_context(path.string() + ":" + std::to_string(number),
                               [&] { return parse_line(line, path.parent_path()); }));
  }
  if (out.empty()) throw Error(ErrorKind::Malformed, path.string() + ": no errand in it");
  return out;
}

}  // namespace qpcseal::courier
