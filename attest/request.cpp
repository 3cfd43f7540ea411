// SPDX-License-Identifier: Apache-2.0
#include "attest/request.h"

#include <algorithm>

#include "attest/measurement.h"
#include "base/error.h"
#include "encoding/cbor.h"
#include "encoding/file_kind.h"

namespace qpcseal::attest {
namespace {

constexpr std::string_view kFormat = "qpcseal/request/1";
constexpr std::uint64_t kMembers = 7;

std::vector<SessionKeyType> read_types(const cbor::Value& value) {
  std::vector<SessionKeyType> out;
  for (const cbor::Value& item : value.as_array("request: key types")) {
    const std::string_view name = item.as_text("request: key type");
    const std::optional<SessionKeyType> type = session_key_type(name);
    check(type.has_value(), "request: unknown session key type");
    check(std::find(out.begin(), out.end(), *type) == out.end(), "request: a session key type stands twice");
    out.push_back(*type);
  }
  check(!out.empty(), "request: no session key type");
  return out;
}

}  // namespace

Bytes encode_request(const Request& request) {
  cbor::Writer writer;
  writer.map(kMembers).unsigned_(1).text(kFormat);
  writer.unsigned_(2).bytes(request.aud).unsigned_(3).bytes(request.nonce).unsigned_(4).bytes(request.mek_id);
  writer.unsigned_(5);
  if (request.ueid) {
    writer.bytes(*request.ueid);
  } else {
    writer.null();
  }
  writer.unsigned_(6).integer(request.expiry).unsigned_(7).array(request.key_types.size());
  for (const SessionKeyType type : request.key_types) writer.text(to_string(type));
  Bytes out = writer.take();
  try {
    static_cast<void>(parse_request(out));
  } catch (const Error& error) {
    throw Error(ErrorKind::Internal, std::string("making a request: ") + error.what());
  }
  return out;
}

namespace {

Request read_members(ByteView bytes) {
  const cbor::Value map = cbor::parse(bytes, cbor::Level::Deterministic, "request");
  check(map.as_map("request").size() == kMembers, "request: not exactly the members 1 to 7");
  const auto member = [&](std::int64_t key) -> const cbor::Value& {
    const cbor::Value* value = map.find(key);
    check(value != nullptr, "request: member " + std::to_string(key) + " is missing");
    return *value;
  };
  check(member(1).as_text("request: format") == kFormat, "request: unknown format");
  Request out;
  out.aud = read_sized(member(2), "request: aud", 16, 16);
  out.nonce = read_sized(member(3), "request: nonce", 32, 32);
  out.mek_id = read_sized(member(4), "request: MEK id", 16, 16);
  if (!member(5).is(cbor::Type::Null)) out.ueid = read_sized(member(5), "request: ueid", 7, 33);
  out.expiry = read_time(member(6), "request: expiry");
  out.key_types = read_types(member(7));
  return out;
}

}  // namespace

Request parse_request(ByteView bytes) {
  return encoding::as_kind(bytes, "a request for attestation", [&] { return read_members(bytes); });
}

}  // namespace qpcseal::attest
