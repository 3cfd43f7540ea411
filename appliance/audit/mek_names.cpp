// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/mek_names.h"

namespace qpcseal::audit {

std::vector<std::string> mek_names(const State& state) {
  std::vector<std::string> out;
  for (const auto& [id, mek] : state.meks) {
    out.push_back(mek.label);
    out.push_back(mek.label.substr(0, mek.label.rfind('#')));
  }
  return out;
}

}  // namespace qpcseal::audit
