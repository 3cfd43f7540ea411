// SPDX-License-Identifier: Apache-2.0
// Simulated cards in memory, and MEKs wrapped to them without a token (FORMAT.md section 3, suite 1).
#pragma once

#include "appliance/seal/slots.h"
#include "device/card/card.h"

namespace qpcseal::testing {

// Just booted, with a fresh P-256 session key and one answered nonce.
device::Card make_card(unsigned number);

// To the card's session, under its last answered nonce.
seal::Slots wrap_on_host(const device::Card& card, ByteView mek, ByteView mek_id);

}  // namespace qpcseal::testing
