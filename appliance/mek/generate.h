// SPDX-License-Identifier: Apache-2.0
// MEKs through the appliance: each act in the log before and after.
#pragma once

#include "appliance/site/appliance.h"

namespace qpcseal::mek {

struct MekView {
  keys::Mek mek;
  std::optional<audit::MekHistory> history;  // nothing: not this appliance's
  bool missing = false;                      // the log has it, the token lost it
};

// What can be said of generate() without the token.
void look_at_generate(const site::Outlook& outlook, const std::string& name);
// A new key `name#1`. Error{Usage} where the name has a generation already.
keys::Mek generate(site::Appliance& appliance, const std::string& name);
// The token's keys, and the missing ones.
std::vector<MekView> list(site::Appliance& appliance);
// The keys by the log alone, for a home that cannot be written. Error{LogDamaged}.
std::vector<MekView> list_logged(const site::Home& home);
// Destroys the objects of Appliance::leftovers(), and logs it. Returns their number.
std::size_t destroy_leftovers(site::Appliance& appliance);

// Makes the key between an intent and a result of this kind; `intent` is what its entry says beside the key's
// id, label and generation.
keys::Mek make_logged(site::Appliance& appliance, const std::string& kind, const std::string& name,
                      std::uint64_t generation, encoding::Json intent);

// Undoes a key that was just made: destroys all MEKs with this id. Error{Token} where one stays.
void destroy_with_id(pkcs11::Session& session, ByteView id);

}  // namespace qpcseal::mek
