// SPDX-License-Identifier: Apache-2.0
// Makes simulated cards: a vendor with fresh keys, certificates for each card, and a first boot.
#pragma once

#include <filesystem>

#include "attest/session_key.h"
#include "base/clock.h"

namespace qpcseal::device {

inline constexpr unsigned kMaxCards = 64;

struct ProvisionOptions {
  std::filesystem::path dir, roots_out;
  unsigned cards = 1;
  bool debug = false;      // debugging enabled (dbgstat 0) instead of disabled permanently (3)
  unsigned lifecycle = 2;  // secured
  attest::SessionKeyType session_key = attest::SessionKeyType::P256;
};

// Cards 0 to N-1 below `dir`, and the vendor's root as PEM in `roots_out`. Throws Error{Io} where a card or
// that file exists already.
void provision(const ProvisionOptions& options, const Clock& clock);

}  // namespace qpcseal::device
