// MEKs through the appliance: each act in the log before and after.
#pragma once

#include "appliance/release/appliance.h"

namespace qpcseal::release {

struct MekView {
  keys::Mek mek;
  std::optional<audit::MekHistory> history;  // nothing: not this appliance's
};

// A new key `name#1`. Error{Usage} where the name has a generation already.
keys::Mek generate(Appliance& appliance, const std::string& name);
std::vector<MekView> list(Appliance& appliance);

// Makes the key between an intent and a result of this kind; `intent` is what its entry says beside the key's
// id, label and generation.
keys::Mek make_logged(Appliance& appliance, const std::string& kind, const std::string& name,
                      std::uint64_t generation, audit::Json intent);

}  // namespace qpcseal::release
