// SPDX-License-Identifier: Apache-2.0
#include "device/card/answer.h"

#include <algorithm>

#include "base/error.h"

namespace qpcseal::device {
namespace {

void check(const attest::Request& request, const CardConfig& config, UnixTime now) {
  if (request.expiry <= now)
    throw Error(ErrorKind::Denied, "the request expired at " + format_time(request.expiry));
  if (request.ueid && *request.ueid != config.ueid) {
    throw Error(ErrorKind::Denied, "the request is for the card with ueid " + to_hex(*request.ueid) +
                                       ", not for this one, " + to_hex(config.ueid));
  }
  const auto& types = request.key_types;
  if (std::find(types.begin(), types.end(), config.session_key) == types.end()) {
    throw Error(ErrorKind::Denied, "the card has a session key of type " +
                                       std::string(attest::to_string(config.session_key)) +
                                       ", which the request does not accept");
  }
}

}  // namespace

attest::Request parse_question(ByteView bytes) {
  if (bytes.size() > kMaxRequest) throw Error(ErrorKind::Malformed, "request: more than 4096 bytes");
  return attest::parse_request(bytes);
}

Bytes answer(const std::filesystem::path& dir, unsigned number, const attest::Request& request,
             const Clock& clock, std::optional<Fault> fault) {
  const CardLock lock(dir, number);
  const CardConfig config = read_config(dir, number);
  check(request, config, clock.now());
  Statement statement = make_statement(config, read_boot(dir, number), read_identity(dir, number), request);
  if (fault) inject_fault(statement, *fault, clock.now());
  Bytes evidence = encode_evidence(statement);
  remember_nonce(dir, number, request.nonce);
  return evidence;
}

}  // namespace qpcseal::device
