// SPDX-License-Identifier: Apache-2.0
// What a log needs from outside, without a token: a signing key of OpenSSL's, an anchor in memory, a clock
// and randomness that a test can foretell.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <optional>
#include <string>

#include "appliance/audit/log.h"

namespace qpcseal::testing {

class HostSigner final : public tlog::Signer {
 public:
  explicit HostSigner(tlog::KeyType type);
  Bytes sign(ByteView message) override;
  [[nodiscard]] tlog::KeyType type() const override { return type_; }
  [[nodiscard]] Bytes public_key() const override;
  [[nodiscard]] tlog::VerifierKey verifier(const std::string& name) const {
    return {name, type_, public_key()};
  }
  unsigned signatures = 0;

 private:
  tlog::KeyType type_;
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
};

class MemoryAnchor final : public audit::Anchor {
 public:
  std::optional<audit::AnchorState> read() override { return state; }
  void write(const audit::AnchorState& now) override { state = now; }
  std::optional<audit::AnchorState> state;
};

class SetClock final : public Clock {
 public:
  [[nodiscard]] UnixTime now() const override { return time; }
  UnixTime time = 1800000000;
};

// Counts up: every block of bytes is another one.
class CountingRandom final : public Random {
 public:
  void fill(MutableBytes out) override;

 private:
  std::uint64_t next_ = 1;
};

inline constexpr const char* kOrigin = "log.test";

audit::SiteFacts site_facts();
encoding::Json genesis_data();
encoding::Json challenge_data(std::uint64_t number);
// What the state reads of a release's wrapped entry, and of its result. `wrapped`: 32 bytes, hex.
encoding::Json wrapped_data(const std::string& wrapped = std::string(64, 'd'));
encoding::Json release_result(const encoding::Json& intent);

// A home for one log: everything that Log::open asks for.
struct HostLog {
  explicit HostLog(std::filesystem::path where, tlog::KeyType type = tlog::KeyType::Ed25519)
      : dir(std::move(where)), signer(type) {}
  [[nodiscard]] audit::LogSettings settings() {
    return {dir, clock, random, "qpcseal test", anchored ? &anchor : nullptr, every};
  }
  audit::Log create() { return audit::Log::create(settings(), signer, kOrigin, genesis_data()); }
  audit::Log open() { return audit::Log::open(settings(), signer); }

  std::filesystem::path dir;
  HostSigner signer;
  SetClock clock;
  CountingRandom random;
  MemoryAnchor anchor;
  bool anchored = true;
  std::uint64_t every = 1024;  // entries between snapshots
};

std::string read_text(const std::filesystem::path& path);
void write_text(const std::filesystem::path& path, const std::string& text);

}  // namespace qpcseal::testing
