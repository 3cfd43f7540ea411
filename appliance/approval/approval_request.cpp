// SPDX-License-Identifier: Apache-2.0
#include "appliance/approval/approval_request.h"

#include <algorithm>
#include <charconv>

#include "base/digest.h"
#include "base/error.h"
#include "encoding/file_kind.h"

namespace qpcseal::approval {

namespace {

using encoding::Json;

constexpr std::string_view kTitle = "qpcseal approval request 1\n";
constexpr std::size_t kMaxName = 64;
constexpr std::size_t kAudSize = 16, kDigestSize = 32;  // bytes

Error bad_request(const std::string& what) { return {ErrorKind::Malformed, "approval request: " + what}; }

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

// JSON with sorted keys and no spaces; whatever is not printable ASCII is escaped, so that what an officer
// sees cannot be made to look like something else.
std::string json_text(const Json& value) {
  static_cast<void>(encoding::canonical(value));  // refuses what the log could not hold
  return value.dump(-1, ' ', true);
}

// Takes "NAME: value\n" lines off the front of a text, in the order that the caller knows.
class Lines {
 public:
  explicit Lines(std::string_view rest) : rest_(rest) {}

  std::string take(std::string_view name) {
    const std::size_t end = rest_.find('\n');
    const std::string_view line = rest_.substr(0, end);
    if (end == std::string_view::npos || !line.starts_with(name) ||
        !line.substr(name.size()).starts_with(": "))
      throw bad_request("no line '" + std::string(name) + "' in its place");
    rest_.remove_prefix(end + 1);
    return std::string(line.substr(name.size() + 2));
  }
  [[nodiscard]] bool next_is(std::string_view start) const { return rest_.starts_with(start); }
  // The name in a line "parameter NAME: ...".
  [[nodiscard]] std::string parameter_name() const {
    const std::string_view line = rest_.substr(std::string_view("parameter ").size());
    return std::string(line.substr(0, line.find(':')));
  }
  [[nodiscard]] bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

std::string json_string(Lines& lines, std::string_view name) {
  const Json value = encoding::parse_json(lines.take(name), name);
  if (!value.is_string()) throw bad_request("'" + std::string(name) + "' is not a text");
  return value.get<std::string>();
}

std::string hex(Lines& lines, std::string_view name, std::size_t size) {
  std::string value = lines.take(name);
  if (!encoding::is_hex(value, size))
    throw bad_request("'" + std::string(name) + "' is not " + std::to_string(size) +
                      " bytes in lower-case hex");
  return value;
}

std::uint64_t number(Lines& lines, std::string_view name) {
  const std::string value = lines.take(name);
  std::uint64_t out = 0;
  const auto [end, failed] = std::from_chars(value.data(), value.data() + value.size(), out);
  if (failed != std::errc() || end != value.data() + value.size())
    throw bad_request("'" + std::string(name) + "' is not a number");
  return out;
}

Json parameters(Lines& lines) {
  Json out = Json::object();
  while (lines.next_is("parameter ")) {
    const std::string name = lines.parameter_name();
    out[name] = encoding::parse_json(lines.take("parameter " + name), name);
  }
  return out;
}

void refuse_odd_bytes(std::string_view text) {
  const auto plain = [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); };
  if (!std::ranges::all_of(text, plain)) throw bad_request("it holds more than printable ASCII");
}

ApprovalRequest read(Lines& lines) {
  ApprovalRequest out;
  out.operation = lines.take("operation");
  out.parameters = parameters(lines);
  out.appliance_id = json_string(lines, "appliance");
  out.aud = hex(lines, "aud", kAudSize);
  out.token_serial = json_string(lines, "token serial");
  out.policy_digest = hex(lines, "policy sha256", kDigestSize);
  out.officers_digest = hex(lines, "officers sha256", kDigestSize);
  out.log_size = number(lines, "log size");
  out.log_root = hex(lines, "log root", kDigestSize);
  out.nonce = hex(lines, "nonce", kDigestSize);
  out.not_before = parse_time(lines.take("not before"));
  out.not_after = parse_time(lines.take("not after"));
  if (out.not_before >= out.not_after) throw bad_request("it is never valid");
  out.threshold = static_cast<unsigned>(std::min<std::uint64_t>(number(lines, "threshold"), 1000));
  if (!lines.empty()) throw bad_request("there is more after its end");
  return out;
}

}  // namespace

std::string encode_approval_request(const ApprovalRequest& request) {
  if (!is_name(request.operation)) throw bad_request("'" + request.operation + "' is no operation's name");
  std::string out(kTitle);
  const auto line = [&](const std::string& name, const std::string& value) {
    out += name + ": " + value + "\n";
  };
  line("operation", request.operation);
  for (const auto& [name, value] : request.parameters.items()) {
    if (!is_name(name)) throw bad_request("'" + name + "' is no parameter's name");
    line("parameter " + name, json_text(value));
  }
  line("appliance", json_text(request.appliance_id));
  line("aud", request.aud);
  line("token serial", json_text(request.token_serial));
  line("policy sha256", request.policy_digest);
  line("officers sha256", request.officers_digest);
  line("log size", std::to_string(request.log_size));
  line("log root", request.log_root);
  line("nonce", request.nonce);
  line("not before", format_time(request.not_before));
  line("not after", format_time(request.not_after));
  line("threshold", std::to_string(request.threshold));
  if (out.size() > kMaxApprovalRequest) throw bad_request("more than 64 KiB");
  refuse_odd_bytes(out);
  return out;
}

ApprovalRequest parse_approval_request(std::string_view text) {
  if (text.size() > kMaxApprovalRequest) throw bad_request("more than 64 KiB");
  if (!is_approval_request(text))
    encoding::as_kind(view(text), "a request for approval",
                      [] { throw bad_request("it does not begin like one"); });
  refuse_odd_bytes(text);
  Lines lines(text.substr(kTitle.size()));
  ApprovalRequest request = read(lines);
  if (encode_approval_request(request) != text) throw bad_request("it is not in its one written form");
  return request;
}

bool is_approval_request(std::string_view text) { return text.starts_with(kTitle); }

std::string_view approval_namespace(std::string_view operation) {
  return operation == "officers-change" ? "officers@qpcseal" : "approval@qpcseal";
}

std::string rejection_text(std::string_view request) {
  return "qpcseal rejection 1\nrequest sha256: " + sha256_hex(request) + "\n";
}

}  // namespace qpcseal::approval
