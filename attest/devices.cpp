// SPDX-License-Identifier: Apache-2.0
#include "attest/devices.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "base/error.h"

namespace qpcseal::attest {
namespace {

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  throw Error(ErrorKind::Usage, "--device '" + std::string(text) + "': " + why,
              "give a number, a range or a list, such as 0, 0-3 or 0,2");
}

unsigned parse_number(std::string_view part, std::string_view whole) {
  unsigned out = 0;
  const char* const end = part.data() + part.size();
  const auto [at, failure] =
      std::from_chars(part.data(), end, out);  // NOLINT(bugprone-suspicious-stringview-data-usage)
  if (part.empty() || failure != std::errc() || at != end) refuse(whole, "not a card number");
  if (out > kMaxDevice) refuse(whole, "card numbers go up to " + std::to_string(kMaxDevice));
  return out;
}

void add(std::vector<unsigned>& out, unsigned number, std::string_view whole) {
  if (std::find(out.begin(), out.end(), number) != out.end())
    refuse(whole, "card " + std::to_string(number) + " comes twice");
  out.push_back(number);
}

void add_part(std::vector<unsigned>& out, std::string_view part, std::string_view whole) {
  const std::size_t dash = part.find('-');
  const unsigned first = parse_number(part.substr(0, dash), whole);
  const unsigned last = dash == std::string_view::npos ? first : parse_number(part.substr(dash + 1), whole);
  if (last < first) refuse(whole, "the range runs backwards");
  for (unsigned number = first; number <= last; ++number) add(out, number, whole);
}

}  // namespace

std::vector<unsigned> parse_devices(std::string_view text) {
  std::vector<unsigned> out;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    add_part(out, text.substr(at, comma - at), text);
    at = comma + 1;
  }
  return out;
}

std::string bare_host(std::string_view text) {
  const std::size_t colon = text.find(':');
  const bool bracketed = text.starts_with('[');
  const bool has_port = bracketed ? text.find("]:") != std::string_view::npos
                                  : colon != std::string_view::npos && text.rfind(':') == colon;
  if (has_port)
    throw Error(ErrorKind::Usage, "'" + std::string(text) + "': a host with a port behind it",
                "the port has an option of its own, --port");
  if (bracketed && text.ends_with(']') && colon != std::string_view::npos)
    text = text.substr(1, text.size() - 2);
  return std::string(text);
}

std::string host_and_port(std::string_view host, int port) {
  const std::string bare = bare_host(host);
  const bool v6 = bare.find(':') != std::string::npos;
  return (v6 ? "[" + bare + "]" : bare) + ":" + std::to_string(port);
}

}  // namespace qpcseal::attest
