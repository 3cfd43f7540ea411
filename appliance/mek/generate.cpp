// SPDX-License-Identifier: Apache-2.0
#include "appliance/mek/generate.h"

#include <algorithm>

#include "appliance/audit/read.h"
#include "appliance/mek/lifecycle.h"
#include "appliance/site/key_census.h"
#include "appliance/site/logged_act.h"
#include "base/error.h"

namespace qpcseal::mek {

using encoding::Json;

keys::Mek make_logged(site::Appliance& appliance, const std::string& kind, const std::string& name,
                      std::uint64_t generation, Json intent) {
  const Bytes id = appliance.random().bytes(keys::kMekIdSize);
  intent["mek_id"] = to_hex(id);
  intent["label"] = keys::make_label(name, generation);
  intent["generation"] = generation;
  keys::Mek mek;
  const auto make = [&](const audit::Txn&) -> Json {
    pkcs11::Session fresh(appliance.module(), appliance.token(), pkcs11::Access::ReadOnly);
    mek = keys::generate_mek(appliance.session(), fresh, name, generation, id, appliance.facts().accept);
    return {{"mek_id", to_hex(id)},
            {"attributes", attribute_list(keys::inspect_mek(fresh, mek.object, appliance.facts().accept))},
            {"token_serial", appliance.token().serial}};
  };
  site::logged_act(appliance.log(),
                   {kind, std::move(intent), make, [&] { destroy_with_id(appliance.session(), id); }});
  return mek;
}

// A token may have made the key and say that it failed. Nobody was told of it: it goes again, and the name is
// free.
void destroy_with_id(pkcs11::Session& session, ByteView id) {
  for (const keys::Mek& mek : keys::list_meks(session))
    if (equal(mek.id, id)) session.destroy(mek.object);
}

void refuse_known_name(const audit::State& state, const std::vector<keys::Mek>& meks,
                       const std::string& name) {
  const auto& logged = state.meks;
  const auto has_name = [&](const std::string& label) { return label.starts_with(name + "#"); };
  const bool known =
      std::any_of(meks.begin(), meks.end(), [&](const auto& mek) { return mek.name == name; }) ||
      std::any_of(logged.begin(), logged.end(), [&](const auto& item) {
        return has_name(item.second.label) && item.second.state != "failed";
      });
  if (!known) return;
  const bool gone = std::ranges::none_of(meks, [&](const auto& mek) { return mek.name == name; }) &&
                    std::ranges::all_of(logged, [&](const auto& item) {
                      const std::string& now = item.second.state;
                      return !has_name(item.second.label) || now == "failed" || now == "destroyed";
                    });
  if (gone)
    throw Error(ErrorKind::Usage, "the MEK '" + name + "' was destroyed, and its name is not given again",
                "'qpcseal audit show --mek " + name + "' shows when; choose another name")
        .with_code("name-taken");
  throw Error(ErrorKind::Usage, "there is a MEK '" + name + "' already",
              "'qpcseal mek list' shows it; another name for another model")
      .with_code("name-taken");
}

Json attribute_list(const std::vector<keys::AttributeReport>& reports) {
  Json out = Json::object();
  for (const auto& report : reports) out[report.name] = report.observed;
  return out;
}

void look_at_generate(const site::Outlook& outlook, const std::string& name) {
  keys::check_name(name);
  refuse_known_name(outlook.state, {}, name);
  static_cast<void>(site::judge_act(outlook, "mek-generate", {{"name", name}}));
}

keys::Mek generate(site::Appliance& appliance, const std::string& name) {
  keys::check_name(name);
  refuse_known_name(appliance.log().state(), keys::list_meks(appliance.session()), name);
  return make_logged(
      appliance, "mek-generate", name, 1,
      site::with_approval(Json::object(), appliance.approve("mek-generate", {{"name", name}})));
}

std::vector<MekView> list(site::Appliance& appliance) {
  std::vector<MekView> out;
  const auto& logged = appliance.log().state().meks;
  for (keys::Mek& mek : keys::list_meks(appliance.session())) {
    const auto found = logged.find(mek.id);
    std::optional<audit::MekHistory> history;
    if (found != logged.end()) history = found->second;
    out.push_back({std::move(mek), history});
  }
  for (const keys::Mek& mek : appliance.missing()) out.push_back({mek, logged.at(mek.id), true});
  return out;
}

std::vector<MekView> list_logged(const site::Home& home) {
  std::vector<MekView> out;
  const audit::State state = audit::read_log(home.log(), std::nullopt).state;
  for (keys::Mek& mek : site::missing_keys({}, state)) {
    const audit::MekHistory& history = state.meks.at(mek.id);
    out.push_back({std::move(mek), history});
  }
  return out;
}

std::size_t destroy_leftovers(site::Appliance& appliance) {
  if (appliance.leftovers().empty()) return 0;
  Json objects = Json::array();
  for (const keys::Leftover& left : appliance.leftovers()) objects.push_back(left.object.name);
  appliance.log().event("leftovers", {{"objects", std::move(objects)}});
  for (const keys::Leftover& left : appliance.leftovers()) appliance.session().destroy(left.object);
  return appliance.leftovers().size();
}

}  // namespace qpcseal::mek
