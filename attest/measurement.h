// SPDX-License-Identifier: Apache-2.0
// The parts of a claim set that submodules share with the card itself, and their readers. All readers throw
// Error{Malformed}.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "encoding/cbor.h"

namespace qpcseal::attest {

enum class DigestAlgorithm { Sha256, Sha384 };

struct Measurement {
  std::string name, version;  // version may be empty
  DigestAlgorithm algorithm = DigestAlgorithm::Sha256;
  Bytes digest;                      // 32 or 48 bytes
  std::optional<std::uint64_t> svn;  // security version number
};

struct HardwareVersion {
  std::string text;
  std::optional<std::int64_t> scheme;  // CoSWID version scheme
};

struct Submodule {
  std::string name;
  std::optional<std::uint64_t> oemid;
  std::optional<Bytes> hwmodel;
  std::optional<HardwareVersion> hwversion;
  unsigned dbgstat = 0;
  std::vector<Measurement> measurements;
};

void check(bool good, const std::string& complaint);
// A byte string of `low` to `high` bytes.
Bytes read_sized(const cbor::Value& value, std::string_view name, std::size_t low, std::size_t high);
unsigned read_up_to(const cbor::Value& value, std::string_view name, unsigned high);
// Seconds since 1970 that fit a UnixTime; integers only.
UnixTime read_time(const cbor::Value& value, std::string_view name);
// Text without control characters, 1 to 128 bytes: it ends up on terminals.
std::string read_label(const cbor::Value& value, std::string_view name);
HardwareVersion read_hwversion(const cbor::Value& value);
// EAT measurements (RFC 9711 section 4.2.16), no two with the same name.
std::vector<Measurement> read_measurements(const cbor::Value& value);
// EAT submods (RFC 9711 section 4.2.18), plain claim sets only: no nested tokens.
std::vector<Submodule> read_submodules(const cbor::Value& value);

}  // namespace qpcseal::attest
