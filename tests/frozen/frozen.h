// SPDX-License-Identifier: Apache-2.0
// Reads the vectors, and what it takes to make C++ code produce them: given random values, given keys.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "appliance/seal/key_handle.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/openssl.h"
#include "base/random.h"
#include "base/secret.h"

namespace qpcseal::testing {

using nlohmann::json;

// The cases of tests/vectors/NAME.json.
json cases_of(const std::string& name);
Bytes hex(const json& value);  // null: empty
KeyPtr private_key(const json& pem);
KeyPtr public_key(const json& pem);

// Gives these values in this order, each wanted in exactly its size.
class GivenRandom final : public Random {
 public:
  explicit GivenRandom(std::deque<Bytes> values) : values_(std::move(values)) {}
  void fill(MutableBytes out) override;
  [[nodiscard]] bool used_up() const { return values_.empty(); }

 private:
  std::deque<Bytes> values_;
};

// A MEK on the host.
class GivenKey final : public seal::KeyHandle {
 public:
  GivenKey(ByteView value, Bytes id, Random& random);
  [[nodiscard]] ByteView id() const override { return id_; }
  [[nodiscard]] std::unique_ptr<seal::GcmWorker> open_worker() override;

 private:
  SecretBuffer value_;
  Bytes id_;
  Random& random_;
};

// Ed25519 on the host; what a token does.
class GivenSigner final : public seal::SealSigner {
 public:
  explicit GivenSigner(KeyPtr key) : key_(std::move(key)) {}
  Bytes sign(ByteView message) override;

 private:
  KeyPtr key_;
};

struct PlainSegment {
  std::string name;
  std::uint64_t offset = 0;
  Bytes data;
};
// A plain QPC, and a file of given bytes; both without a name.
Fd plain_file(const std::vector<PlainSegment>& segments);
Fd file_of(ByteView bytes);
Bytes contents(const Fd& file);

// [[first, length], ...]
seal::ClearRanges ranges_of(const json& pairs);

// Each byte of `good` changed in turn: `accepted` must say no (or throw) every time. Returns how often.
std::size_t sweep(const Bytes& good, const std::function<bool(const Bytes&)>& accepted);

}  // namespace qpcseal::testing
