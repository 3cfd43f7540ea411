// SPDX-License-Identifier: Apache-2.0
// Wrapped MEKs of cards, in form alone: no card could use them.
#pragma once

#include "appliance/models/wrapped_meks.h"

namespace qpcseal::testing {

// Every byte of it tells the card's number.
inline models::WrappedFor wrapped_card(const Bytes& mek_id, const std::string& dir, std::uint8_t number) {
  Bytes encrypt = copy(view("QMEK\1\1"));
  append(encrypt, mek_id);
  append(encrypt, Bytes(24, number));
  return {dir,
          "",
          std::nullopt,
          Bytes(17, number),
          "ecdh-x963-aeskw",
          {},
          number,
          {encrypt, Bytes(32, number), Bytes(65, number)}};
}

inline void write_wrapped_cards(const std::filesystem::path& to, const keys::Mek& mek,
                                const std::vector<models::WrappedFor>& cards) {
  OutputSet outputs(Existing::Refuse);
  models::write_wrapped(outputs, to, mek, cards);
  outputs.commit();
}

}  // namespace qpcseal::testing
