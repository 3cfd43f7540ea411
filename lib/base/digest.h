// SPDX-License-Identifier: Apache-2.0
// SHA-256 and SHA-384 (FIPS 180-4), from OpenSSL.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace qpcseal {

using Sha256Digest = std::array<std::uint8_t, 32>;

Sha256Digest sha256(ByteView bytes);
Bytes sha384(ByteView bytes);
// SHA-256 as 64 lower case hex digits: how the log names a file.
std::string sha256_hex(ByteView bytes);
std::string sha256_hex(std::string_view text);

// Incremental SHA-256. After finish() it is ready for a new message.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(ByteView bytes);
  Sha256Digest finish();
  [[nodiscard]] Sha256Digest peek() const;  // of what came until now; more may follow

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qpcseal
