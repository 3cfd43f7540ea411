// SPDX-License-Identifier: Apache-2.0
// Where a simulated card keeps itself. Below the folder given with --dir:
//
//   cards/N/config.json    what the card is and what is measured on it
//   cards/N/device.pem     its device key (P-384), 0600
//   cards/N/chain.pem      its certificates, leaf first, the vendor's root last
//   cards/N/seal-key.pem   the appliance's seal verification key, where one was provisioned
//   cards/N/boot/          all that a reset forgets: bootseed, session.pem (0600), answered-nonces
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "attest/evidence.h"
#include "base/bytes.h"
#include "base/file.h"
#include "device/card/certificates.h"

namespace qpcseal::device {

inline constexpr std::size_t kNonceSize = 32;     // bytes
inline constexpr std::size_t kBootseedSize = 32;  // bytes
// A card remembers this many answered nonces and forgets the oldest first.
inline constexpr std::size_t kMaxAnswered = 1024;

struct CardConfig {
  Bytes ueid;
  std::uint64_t oemid = 0;
  Bytes hwmodel;
  std::string hwversion;
  unsigned dbgstat = 0, lifecycle = 0;  // as in attest::Claims
  attest::SessionKeyType session_key = attest::SessionKeyType::P256;
  std::uint64_t minimum_model_version = 0;
  std::vector<attest::Measurement> measurements;
};

struct BootState {
  Bytes bootseed;
  KeyPtr session_key;
  std::vector<Bytes> answered_nonces;  // oldest first
};

std::filesystem::path card_folder(const std::filesystem::path& dir, unsigned number);
// The numbers of all cards below `dir`, ascending. Throws Error{Io} where there is none.
std::vector<unsigned> card_numbers(const std::filesystem::path& dir);
bool card_exists(const std::filesystem::path& dir, unsigned number);

// Holds a card against other programs and threads while its state is read and changed.
class CardLock {
 public:
  // Throws Error{Io} when there is no such card.
  CardLock(const std::filesystem::path& dir, unsigned number);

 private:
  Fd folder_;
};

// Makes the folder of a card with everything in it, booted once. Throws Error{Io} where it exists.
void create_card(const std::filesystem::path& dir, unsigned number, const CardConfig& config,
                 const CardIdentity& identity);
// A new boot/ in place of the old one, in one step.
void reset_card(const std::filesystem::path& dir, unsigned number);

CardConfig read_config(const std::filesystem::path& dir, unsigned number);
void write_config(const std::filesystem::path& dir, unsigned number, const CardConfig& config,
                  Existing existing);
CardIdentity read_identity(const std::filesystem::path& dir, unsigned number);
BootState read_boot(const std::filesystem::path& dir, unsigned number);
void remember_nonce(const std::filesystem::path& dir, unsigned number, ByteView nonce);

void write_seal_key(const std::filesystem::path& dir, unsigned number, ByteView pem);
KeyPtr read_seal_key(const std::filesystem::path& dir,
                     unsigned number);  // null where none was provisioned

}  // namespace qpcseal::device
