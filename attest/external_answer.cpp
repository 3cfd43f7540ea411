// SPDX-License-Identifier: Apache-2.0
// The answer of an external verifier, member by member.
#include <algorithm>
#include <array>

#include "attest/external.h"
#include "base/text.h"
#include "encoding/json.h"

namespace qpcseal::attest {

namespace {

using encoding::Json;

constexpr const char* kAnswerRule = "FORMAT.md, scheme external";
constexpr std::size_t kMaxAnswerLabel = 128, kMaxItems = 64, kMaxSpki = 1024;  // bytes, items, bytes
constexpr std::array<std::string_view, 4> kLifecycles = {"test", "development", "secured", "rma"};

[[noreturn]] void bad(const std::string& complaint) { throw Error(ErrorKind::Malformed, complaint); }

// Text without characters that a reader does not see: it ends up on terminals and in the log.
std::string label_at(const Json& object, const char* key) {
  const std::string& text = encoding::text_member(object, key);
  if (text.empty() || text.size() > kMaxAnswerLabel || has_unseen(text))
    bad(std::string("'") + key + "' is not 1 to 128 bytes of text");
  return text;
}

Bytes hex_at(const Json& object, const char* key, std::size_t low, std::size_t high) {
  const std::string& text = encoding::text_member(object, key);
  if (text.size() < 2 * low || text.size() > 2 * high || !encoding::is_hex(text, text.size() / 2))
    bad(std::string("'") + key + "' is not " + std::to_string(low) + " to " + std::to_string(high) +
        " bytes in lower-case hex");
  return from_hex(text);
}

std::uint64_t number_at(const Json& object, const char* key, std::uint64_t most) {
  const std::uint64_t value = encoding::uint_member(object, key);
  if (value > most) bad(std::string("'") + key + "' is above " + std::to_string(most));
  return value;
}

UnixTime time_at(const Json& object, const char* key) {
  return static_cast<UnixTime>(number_at(object, key, static_cast<std::uint64_t>(INT64_MAX)));
}

const Json& list_at(const Json& object, const char* key, std::size_t most) {
  const Json& list = encoding::member(object, key);
  if (!list.is_array() || list.size() > most)
    bad(std::string("'") + key + "' is no list of at most " + std::to_string(most));
  return list;
}

void require_known(const Json& object, std::initializer_list<std::string_view> known, const char* where) {
  if (!object.is_object()) bad(std::string(where) + " is no object");
  for (const auto& [key, value] : object.items())
    if (std::ranges::find(known, key) == known.end())
      bad("unknown member '" + valid_utf8(key.substr(0, 40)) + "' in " + where);
}

std::vector<Measurement> measurements_at(const Json& object) {
  std::vector<Measurement> out;
  for (const Json& one : list_at(object, "measurements", kMaxItems)) {
    require_known(one, {"name", "version", "digest", "svn"}, "a measurement");
    Measurement next;
    next.name = label_at(one, "name");
    if (one.contains("version")) next.version = label_at(one, "version");
    next.digest = hex_at(one, "digest", 32, 48);
    if (next.digest.size() != 32 && next.digest.size() != 48)
      bad("'digest' is neither of 32 nor of 48 bytes");
    next.algorithm = next.digest.size() == 32 ? DigestAlgorithm::Sha256 : DigestAlgorithm::Sha384;
    if (one.contains("svn")) next.svn = number_at(one, "svn", static_cast<std::uint64_t>(INT64_MAX));
    if (std::ranges::find(out, next.name, &Measurement::name) != out.end())
      bad("measurement '" + next.name + "' stands twice");
    out.push_back(std::move(next));
  }
  if (out.empty()) bad("'measurements' is empty");
  return out;
}

// What a card and each of its submodules may say of their make.
template <typename Part>
void read_make(const Json& object, Part& out) {
  if (object.contains("oemid")) out.oemid = number_at(object, "oemid", static_cast<std::uint64_t>(INT64_MAX));
  if (object.contains("hwmodel")) out.hwmodel = hex_at(object, "hwmodel", 1, 32);
  if (object.contains("hwversion"))
    out.hwversion = HardwareVersion{label_at(object, "hwversion"), std::nullopt};
  out.dbgstat = static_cast<unsigned>(number_at(object, "dbgstat", 4));
  out.measurements = measurements_at(object);
}

std::vector<Submodule> submodules_at(const Json& object) {
  std::vector<Submodule> out;
  for (const Json& one : list_at(object, "submods", kMaxItems)) {
    require_known(one, {"name", "oemid", "hwmodel", "hwversion", "dbgstat", "measurements"}, "a submodule");
    Submodule next;
    next.name = label_at(one, "name");
    read_make(one, next);
    if (std::ranges::find(out, next.name, &Submodule::name) != out.end())
      bad("submodule '" + next.name + "' stands twice");
    out.push_back(std::move(next));
  }
  return out;
}

void read_verifier(const Json& answer, ExternalVerifier& out) {
  const Json& verifier = encoding::member(answer, "verifier");
  require_known(verifier, {"name", "version"}, "'verifier'");
  out.name = label_at(verifier, "name");
  out.version = label_at(verifier, "version");
  out.chain.clear();
  for (const Json& one : list_at(answer, "chain", kMaxPath)) {
    if (!one.is_string() || !encoding::is_hex(one.get<std::string>(), sizeof(Sha256Digest)))
      bad("'chain' holds what is no SHA-256 in lower-case hex");
    out.chain.push_back(one);
  }
  if (out.chain.empty()) bad("'chain' is empty");
}

unsigned lifecycle_at(const Json& answer) {
  const auto* found = std::ranges::find(kLifecycles, encoding::text_member(answer, "lifecycle"));
  if (found == kLifecycles.end()) bad("'lifecycle' is none of test, development, secured, rma");
  return static_cast<unsigned>(found - kLifecycles.begin());
}

SessionKey session_key_at(const Json& answer) {
  const std::string& text = encoding::text_member(answer, "session_key");
  if (text.size() > kMaxSpki * 2) bad("'session_key' is too long");
  return with_context("'session_key'", [&] { return parse_session_spki(from_base64(text)); });
}

Claims read_answer(const Json& answer, ExternalVerifier& verifier) {
  require_known(
      answer,
      {"format", "verifier", "chain", "nonce", "ueid", "session_key", "oemid", "hwmodel", "hwversion",
       "oemboot", "dbgstat", "lifecycle", "exp", "iat", "bootseed", "measurements", "submods"},
      "the answer");
  if (encoding::text_member(answer, "format") != kAnswerFormat)
    bad("'format' is not " + std::string(kAnswerFormat));
  read_verifier(answer, verifier);
  Claims out;
  out.nonce = hex_at(answer, "nonce", 32, 32);
  out.ueid = hex_at(answer, "ueid", kMinUeid, kMaxUeid);
  out.session_key = session_key_at(answer);
  read_make(answer, out);
  if (answer.contains("oemboot")) out.oemboot = encoding::bool_member(answer, "oemboot");
  if (answer.contains("lifecycle")) out.lifecycle = lifecycle_at(answer);
  if (answer.contains("exp")) out.exp = time_at(answer, "exp");
  if (answer.contains("iat")) out.iat = time_at(answer, "iat");
  if (answer.contains("bootseed")) out.bootseed = hex_at(answer, "bootseed", 32, 64);
  if (answer.contains("submods")) out.submods = submodules_at(answer);
  return out;
}

}  // namespace

std::optional<Claims> parse_external_answer(ByteView answer, ExternalVerifier& verifier, Findings& findings) {
  try {
    if (answer.size() > kMaxAnswer) bad("more than 64 KiB");
    return read_answer(encoding::parse_json(text_view(answer), "the answer"), verifier);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed) throw;
    findings.push_back(
        {"ATT-EXTERNAL-ANSWER", "the verifier's answer", error.what(), "one object of claims", kAnswerRule});
    return std::nullopt;
  }
}

}  // namespace qpcseal::attest
