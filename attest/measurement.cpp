// SPDX-License-Identifier: Apache-2.0
#include "attest/measurement.h"

#include <algorithm>
#include <initializer_list>
#include <limits>

#include "base/error.h"
#include "base/text.h"

namespace qpcseal::attest {
namespace {

constexpr std::uint64_t kComponentFormat = 65000;  // experimental content format (RFC 7252 section 12.3)
constexpr std::int64_t kComponentId = 1, kComponentDigest = 2, kComponentSvn = -1;
constexpr std::int64_t kOemid = 258, kHwmodel = 259, kHwversion = 260, kDbgstat = 263, kMeasurements = 273;
constexpr std::int64_t kSha256 = -16, kSha384 = -43;  // RFC 9054
constexpr std::size_t kMaxLabel = 128;

void expect_only(const cbor::Value& map, std::string_view what, std::initializer_list<std::int64_t> allowed) {
  for (const auto& [label, value] : map.as_map(what)) {
    const std::int64_t number = label.as_int(what);
    check(std::find(allowed.begin(), allowed.end(), number) != allowed.end(),
          std::string(what) + " has the unexpected key " + std::to_string(number));
  }
}

const cbor::Value& member(const cbor::Value& map, std::int64_t key, std::string_view what) {
  const cbor::Value* value = map.find(key);
  check(value != nullptr, std::string(what) + " lacks key " + std::to_string(key));
  return *value;
}

void read_id(const cbor::Value& value, Measurement& out) {
  const auto& parts = value.as_array("component id");
  check(parts.size() == 1 || parts.size() == 2, "a component id has neither 1 nor 2 elements");
  out.name = read_label(parts[0], "component name");
  if (parts.size() == 1) return;
  const auto& version = parts[1].as_array("component version");
  check(version.size() == 1, "a component version does not have 1 element");
  out.version = read_label(version[0], "component version");
}

void read_digest(const cbor::Value& value, Measurement& out) {
  const auto& parts = value.as_array("component digest");
  check(parts.size() == 2, "a component digest does not have 2 elements");
  const std::int64_t algorithm = parts[0].as_int("digest algorithm");
  check(algorithm == kSha256 || algorithm == kSha384, "a digest is neither SHA-256 nor SHA-384");
  out.algorithm = algorithm == kSha256 ? DigestAlgorithm::Sha256 : DigestAlgorithm::Sha384;
  const std::size_t size = algorithm == kSha256 ? 32 : 48;
  out.digest = read_sized(parts[1], "digest", size, size);
}

Measurement read_component(ByteView encoded) {
  const cbor::Value component = cbor::parse(encoded, cbor::Level::Deterministic, "measured component");
  expect_only(component, "measured component", {kComponentId, kComponentDigest, kComponentSvn});
  Measurement out;
  read_id(member(component, kComponentId, "measured component"), out);
  read_digest(member(component, kComponentDigest, "measured component"), out);
  if (const cbor::Value* svn = component.find(kComponentSvn)) out.svn = svn->as_unsigned("SVN");
  return out;
}

Submodule read_submodule(std::string name, const cbor::Value& set) {
  expect_only(set, "submodule", {kOemid, kHwmodel, kHwversion, kDbgstat, kMeasurements});
  Submodule out;
  out.name = std::move(name);
  if (const cbor::Value* oemid = set.find(kOemid)) out.oemid = oemid->as_unsigned("oemid");
  if (const cbor::Value* model = set.find(kHwmodel)) out.hwmodel = read_sized(*model, "hwmodel", 1, 32);
  if (const cbor::Value* version = set.find(kHwversion)) out.hwversion = read_hwversion(*version);
  out.dbgstat = read_up_to(member(set, kDbgstat, "submodule"), "dbgstat", 4);
  out.measurements = read_measurements(member(set, kMeasurements, "submodule"));
  return out;
}

}  // namespace

void check(bool good, const std::string& complaint) {
  if (!good) throw Error(ErrorKind::Malformed, complaint);
}

Bytes read_sized(const cbor::Value& value, std::string_view name, std::size_t low, std::size_t high) {
  const ByteView bytes = value.as_bytes(name);
  check(bytes.size() >= low && bytes.size() <= high,
        std::string(name) + " has " + std::to_string(bytes.size()) + " bytes");
  return copy(bytes);
}

unsigned read_up_to(const cbor::Value& value, std::string_view name, unsigned high) {
  const std::uint64_t number = value.as_unsigned(name);
  check(number <= high, std::string(name) + " is " + std::to_string(number));
  return static_cast<unsigned>(number);
}

UnixTime read_time(const cbor::Value& value, std::string_view name) {
  const std::uint64_t seconds = value.as_unsigned(name);
  check(seconds <= static_cast<std::uint64_t>(std::numeric_limits<UnixTime>::max()),
        std::string(name) + " is beyond all time");
  return static_cast<UnixTime>(seconds);
}

std::string read_label(const cbor::Value& value, std::string_view name) {
  const std::string_view text = value.as_text(name);
  check(!text.empty() && text.size() <= kMaxLabel, std::string(name) + " is empty or longer than 128 bytes");
  check(!has_unseen(text), std::string(name) + " has control characters, or others that are not seen");
  return std::string(text);
}

HardwareVersion read_hwversion(const cbor::Value& value) {
  const auto& parts = value.as_array("hwversion");
  check(parts.size() == 1 || parts.size() == 2, "hwversion has neither 1 nor 2 elements");
  HardwareVersion out{read_label(parts[0], "hwversion"), std::nullopt};
  if (parts.size() == 2) out.scheme = parts[1].as_int("hwversion scheme");
  return out;
}

std::vector<Measurement> read_measurements(const cbor::Value& value) {
  std::vector<Measurement> out;
  for (const cbor::Value& item : value.as_array("measurements")) {
    const auto& pair = item.as_array("measurement");
    check(pair.size() == 2, "a measurement does not have 2 elements");
    check(pair[0].as_unsigned("content format") == kComponentFormat,
          "a measurement is no measured component");
    Measurement next = read_component(pair[1].as_bytes("measured component"));
    const bool seen =
        std::any_of(out.begin(), out.end(), [&](const Measurement& m) { return m.name == next.name; });
    check(!seen, "two measurements of '" + next.name + "'");
    out.push_back(std::move(next));
  }
  check(!out.empty(), "measurements are empty");
  return out;
}

std::vector<Submodule> read_submodules(const cbor::Value& value) {
  std::vector<Submodule> out;
  for (const auto& [name, set] : value.as_map("submods")) {
    out.push_back(read_submodule(read_label(name, "submodule name"), set));
  }
  check(!out.empty(), "submods are empty");
  return out;
}

}  // namespace qpcseal::attest
