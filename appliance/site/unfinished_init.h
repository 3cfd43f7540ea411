// SPDX-License-Identifier: Apache-2.0
// What an `init` has made so far, for the run that undoes it: the file `init` in the home, from before
// anything else is there until the appliance is whole. The keys that init makes have a CKA_ID of their own,
// which the file has before the token has the keys; so nobody else's key is ever taken for one of them.
#pragma once

#include <optional>
#include <string>

#include "appliance/site/appliance.h"

namespace qpcseal::site {

inline constexpr std::size_t kInitKeyId = 16;  // bytes; a key's CKA_ID has one more, its number

struct UnfinishedInit {
  bool made_home = false;    // the home's folder was not there before
  std::optional<Site> site;  // nothing: no key was made in a token
  std::string module_sha256, module_arguments;
  Bytes key_id;  // kInitKeyId, with `site`
};

// Error{Malformed}, Error{Io}; nothing where no init was cut short.
std::optional<UnfinishedInit> read_unfinished_init(const Home& home);
// On disk when it returns. Error{Io}.
void write_unfinished_init(const Home& home, const UnfinishedInit& init);
// The appliance is whole. Error{Io}.
void remove_unfinished_init(const Home& home);

// The CKA_ID of an init's first key or second: NSS takes two pairs of one CKA_ID for one.
Bytes init_key_id(ByteView key_id, std::uint8_t number);

// Destroys both keys of this init, and the log's anchor where no signing key of an appliance is left.
// Error{Token}.
void remove_init_keys(pkcs11::Session& session, ByteView key_id);
// All that an init puts into a home, and the home itself where the init made it. Ignores errors.
void remove_init_files(const Home& home, bool made_home) noexcept;

// Undoes what an init that was cut short has made, in the token first. Error{Usage} where there is none, or
// the appliance is whole; Error{Token}: the home stays as it is, and another try goes on.
enum class HomeFolder { Remove, Keep };  // where the init made it
void undo_init(const Environment& environment, HomeFolder dir = HomeFolder::Remove);

}  // namespace qpcseal::site
