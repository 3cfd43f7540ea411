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

}  // namespace qpcseal::release
