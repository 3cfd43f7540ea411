// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/seal_act.h"

#include "appliance/site/logged_act.h"
#include "base/error.h"
#include "policy/officers_needed.h"

namespace qpcseal::models {

namespace {

using encoding::Json;

// An entry has a limit, and names of segments have none together: those that fit. The manifest, whose digest
// the result has, lists all.
Json named_segments(const SealPlan& plan) {
  constexpr std::size_t kMaxNames = 32768;  // bytes
  Json out = Json::object();
  out["segments"] = Json::array();
  const std::vector<std::string> names = plan.sealed_segments();
  std::size_t size = 0;
  for (const std::string& name : names) {
    size += 2 * name.size() + 3;  // quotes and comma; at worst each byte is a quote that is escaped
    if (size > kMaxNames) break;
    out["segments"].push_back(name);
  }
  if (out["segments"].size() < names.size()) out["segments_left_out"] = names.size() - out["segments"].size();
  return out;
}

Json seal_intent(const site::Appliance& appliance, const keys::Mek& mek, const SealPlan& plan) {
  Json out{{"mek_id", to_hex(mek.id)},
           {"mek", mek.label},
           {"mode", seal::to_string(plan.options.mode)},
           {"partition_count", plan.partitions.size()},
           {"encryptions", plan.encryptions()},
           {"model", plan.options.model_name},
           {"model_version", plan.options.model_version},
           {"policy", {{"digest", appliance.policy_digest()}, {"serial", appliance.policy().serial.value}}}};
  out.update(named_segments(plan));
  return out;
}

}  // namespace

Json container_json(const seal::SealResult& sealed) {
  return {{"seal_id", to_hex(sealed.seal_id)}, {"manifest_sha256", to_hex(sealed.manifest_digest)}};
}

Json approve_seal(site::Appliance& appliance, const keys::Mek& mek, const std::string& model,
                  const std::function<Sha256Digest()>& digest) {
  Json parameters{{"mek", mek.label}, {"mek_id", to_hex(mek.id)}, {"model", model}};
  Json members = Json::object();
  if (policy::officers_needed(appliance.policy(), "seal").value_or(0) > 0) {
    members["input_sha256"] = to_hex(digest());
    parameters.update(members);
  }
  return site::with_approval(std::move(members), appliance.approve("seal", parameters));
}

seal::NestedResult seal_logged(site::Appliance& appliance, const keys::Mek& mek, const SealPlan& plan,
                               const Json& under, const Fd& output, const seal::Progress& progress) {
  seal::NestedResult sealed;
  const auto seal_it = [&](const audit::Txn&) {
    const auto key = appliance.open_key(mek);
    keys::SealKey signer(appliance.seal_key());
    sealed = seal::seal_nested(plan.input, plan.container, plan.partitions, plan.options, *key, signer,
                               appliance.random(), output, progress);
    if (file_mark(plan.input) != plan.mark)
      throw Error(ErrorKind::Io, "the input was written to while it was sealed",
                  "seal it again when nobody writes to it");
    Json data = container_json(sealed.root);
    data["file_size"] = sealed.root.file_size;
    data["partitions"] = Json::array();
    for (const seal::SealResult& partition : sealed.partitions)
      data["partitions"].push_back(container_json(partition));
    return data;
  };
  Json intent = seal_intent(appliance, mek, plan);
  intent.update(under);
  site::logged_act(appliance.log(), {"seal", std::move(intent), seal_it});
  return sealed;
}

}  // namespace qpcseal::models
