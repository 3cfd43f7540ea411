// SPDX-License-Identifier: Apache-2.0
#include "appliance/mek/rotate.h"

#include <algorithm>

#include "appliance/mek/generate.h"
#include "base/error.h"
#include "base/nearest.h"

namespace qpcseal::mek {

namespace {

using encoding::Json;

// Also of keys that were cut short, destroyed or are not ours: a generation is never used twice.
std::uint64_t highest_generation(site::Appliance& appliance, const std::string& name) {
  std::uint64_t highest = 0;
  for (const auto& [id, mek] : appliance.log().state().meks)
    if (keys::name_in(mek.label) == name) highest = std::max(highest, mek.generation);
  for (const keys::Mek& mek : keys::list_meks(appliance.session()))
    if (mek.name == name) highest = std::max(highest, mek.generation);
  return highest;
}

Error no_generation(const audit::State& state, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [id, mek] : state.meks) names.emplace_back(keys::name_in(mek.label));
  return with_nearest({ErrorKind::Usage, "there is no MEK '" + name + "' of this appliance in the token",
                       "'qpcseal mek generate " + name + "' makes its first generation"},
                      name, names);
}

// The newest one that the log knows and that is in the token, or missing there. It need not be usable: a key
// that may not be used any more is one to replace.
keys::Mek newest_known(site::Appliance& appliance, const std::string& name) {
  const auto& known = appliance.log().state().meks;
  std::optional<keys::Mek> newest;
  auto meks = keys::list_meks(appliance.session());
  meks.insert(meks.end(), appliance.missing().begin(), appliance.missing().end());
  for (keys::Mek& mek : meks)
    if (mek.name == name && known.contains(mek.id) && (!newest || mek.generation > newest->generation))
      newest = std::move(mek);
  if (!newest) throw no_generation(appliance.log().state(), name);
  return std::move(*newest);
}

}  // namespace

void look_at_rotate(const site::Outlook& outlook, const std::string& name) {
  keys::check_name(name);
  const auto has_name = [&](const auto& item) { return keys::name_in(item.second.label) == name; };
  if (std::ranges::none_of(outlook.state.meks, has_name)) throw no_generation(outlook.state, name);
  site::require_candidate(outlook, "mek-rotate");
}

Rotated rotate(site::Appliance& appliance, const std::string& name) {
  keys::check_name(name);
  keys::Mek replaced = newest_known(appliance, name);
  const std::uint64_t generation = highest_generation(appliance, name) + 1;
  const Json approval =
      appliance.approve("mek-rotate", {{"mek", replaced.label}, {"mek_id", to_hex(replaced.id)}});
  keys::Mek next = make_logged(appliance, "mek-rotate", name, generation,
                               site::with_approval({{"replaces", to_hex(replaced.id)}}, approval));
  return {std::move(next), std::move(replaced)};
}

std::optional<audit::MekHistory> successor(const audit::State& state, const audit::MekHistory& mek) {
  const audit::MekHistory* newest = &mek;
  for (const auto& [id, other] : state.meks)
    if (keys::name_in(other.label) == keys::name_in(mek.label) && other.state == "ok" &&
        other.generation > newest->generation)
      newest = &other;
  if (newest == &mek) return std::nullopt;
  return *newest;
}

// Whatever became of the newer one: what was replaced does not come back when that one is suspended.
void refuse_replaced(const audit::State& state, const keys::Mek& mek) {
  for (const auto& [id, other] : state.meks) {
    const bool made = other.state == "ok" || other.state == "suspended" || other.state == "destroyed";
    if (!made || keys::name_in(other.label) != mek.name || other.generation <= mek.generation) continue;
    throw Error(ErrorKind::Denied, mek.label + " seals nothing more: " + other.label + " took its place",
                "seal with --mek " + mek.name + ", its newest generation");
  }
}

}  // namespace qpcseal::mek
