// SPDX-License-Identifier: Apache-2.0
// A workbench: a real token that seals, a card in memory, and containers that can be taken apart.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "appliance/keys/gcm_key.h"
#include "appliance/keys/signing.h"
#include "appliance/keys/wrap.h"
#include "appliance/seal/layout.h"
#include "appliance/seal/sealer.h"
#include "base/error.h"
#include "device/card/card.h"
#include "tests/support/tokens.h"

namespace qpcseal::testing {

struct Segment {
  std::string name;
  Bytes data;
  std::uint64_t offset = 0;
};

// A container in memory: the input's segments as stored, then the seven.
struct Parts {
  std::vector<Segment> segments;
  Segment& at(std::string_view name);
};
Parts take_apart(ByteView container);
// In the canonical layout, whatever the segments are.
Bytes put_together(const Parts& parts);

Bytes pattern(std::size_t size, std::uint8_t seed);

struct Wish {
  seal::Mode mode = seal::Mode::Token;
  std::uint64_t model_version = 1;
  std::string mek = "resnet50";  // made when first used
  std::size_t constants = 150;   // bytes of constants.bin
  bool bound = true;
  bool readable = false;  // network.elf keeps its first 52 bytes and 20 in the middle
};

class Bench {
 public:
  Bench();
  // A card that answered one challenge and knows the seal key.
  [[nodiscard]] device::Card card() const;
  // Another card, with keys of its own and no challenge of ours.
  [[nodiscard]] static device::Card stranger();
  // A container of the segments of `plain`, bound to the card; chunks have 64 KiB.
  Bytes seal(const Wish& wanted);
  static std::vector<Segment> plain(std::size_t constants);

  // "" when `card` loads it, else what it said. A failure that is no refusal (Error{Malformed} or
  // Error{Denied}) is a test failure.
  std::string refusal(ByteView container, const device::Card& card);
  [[nodiscard]] const std::filesystem::path& file() const { return file_; }
  // By the seal key.
  [[nodiscard]] Bytes sign(ByteView message) { return seal_key_->sign(message); }
  // The MEK's value, as this card learns it.
  SecretBuffer mek_value(ByteView container) const;

 private:
  keys::Mek mek(const std::string& name);
  TemporaryFolder folder_;
  std::filesystem::path file_;
  std::unique_ptr<TestToken> token_;
  std::unique_ptr<keys::SigningKey> seal_key_;
  KeyPtr session_key_;
  Bytes ueid_, nonce_;
};

}  // namespace qpcseal::testing
