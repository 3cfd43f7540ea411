// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/key_census.h"

#include <algorithm>

#include "appliance/keys/mek_list.h"
#include "base/error.h"

namespace qpcseal::site {

keys::Mek recorded_mek(const audit::MekHistory& history) {
  return {{CK_INVALID_HANDLE, "key '" + history.label + "'"},
          history.label,
          std::string(keys::name_in(history.label)),
          history.generation,
          history.id};
}

std::vector<keys::Mek> missing_keys(const std::vector<keys::Mek>& there, const audit::State& state) {
  std::vector<keys::Mek> out;
  for (const auto& [id, history] : state.meks) {
    const bool wanted = history.state == "ok" || history.state == "suspended";
    const auto same = [&](const keys::Mek& mek) { return mek.id == history.id; };
    if (wanted && std::ranges::none_of(there, same)) out.push_back(recorded_mek(history));
  }
  keys::sort_meks(out);
  return out;
}

std::string missing_text(const keys::Mek& mek) {
  return mek.label + " (id " + to_hex(mek.id) + ") is in the log and not in the token: the token lost it";
}

std::string missing_hint(const keys::Mek& mek) {
  return "'qpcseal mek restore BACKUP' brings it back (a file that was imported: 'qpcseal mek import FILE "
         "--name " +
         mek.name + "'); 'qpcseal mek rotate " + mek.name +
         "' makes its next generation; 'qpcseal mek destroy " + mek.label + "' gives it up";
}

}  // namespace qpcseal::site
