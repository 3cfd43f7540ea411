// SPDX-License-Identifier: Apache-2.0
// A simulated card answers an attestation request.
#pragma once

#include <filesystem>
#include <optional>

#include "base/bytes.h"
#include "base/clock.h"
#include "device/card/statement.h"

namespace qpcseal::device {

inline constexpr std::size_t kMaxRequest = 4096;  // bytes

// Throws Error{Malformed} for what is no request.
attest::Request parse_question(ByteView bytes);

// Fresh evidence from card `number`, whose boot state remembers the nonce before the evidence is handed out.
// Throws Error{Io} where there is no such card, Error{Malformed} where its state is damaged, Error{Denied}
// for a request that this card does not answer: expired at the host's clock, meant for another card, or
// without the type of its session key.
Bytes answer(const std::filesystem::path& dir, unsigned number, const attest::Request& request,
             const Clock& clock, std::optional<Fault> fault = std::nullopt);

}  // namespace qpcseal::device
