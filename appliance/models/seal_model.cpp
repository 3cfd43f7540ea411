// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/seal_model.h"

#include <algorithm>

#include "appliance/mek/rotate.h"
#include "appliance/seal/bind.h"
#include "appliance/site/logged_act.h"
#include "base/error.h"
#include "base/file_set.h"

namespace qpcseal::models {

namespace {

using encoding::Json;

[[noreturn]] void deny(const std::string& what, const Findings& findings) {
  throw Error(ErrorKind::Denied, what + " is denied: " + finding_ids(findings), "", findings);
}

// What is to be sealed, and how.
struct Plan {
  const Fd& input;
  const qpc::Container& container;
  std::vector<seal::Partition> partitions;
  seal::SealOptions options;

  [[nodiscard]] std::size_t parts() const { return std::max<std::size_t>(1, partitions.size()); }
  [[nodiscard]] std::uint64_t encryptions() const {
    return seal::encryptions_needed(container, partitions, options);
  }
};

// Non-empty segments that are no partitions.
std::vector<std::string> names_of(const qpc::Container& container,
                                  const std::vector<seal::Partition>& partitions) {
  std::vector<std::string> out;
  for (const qpc::Segment& segment : container.segments()) {
    const bool inner =
        std::any_of(partitions.begin(), partitions.end(),
                    [&](const seal::Partition& partition) { return partition.name == segment.name; });
    if (segment.size > 0 && !inner) out.push_back(segment.name);
  }
  return out;
}

// The policy on one container, with what sealing all of the model needs.
Findings findings_on(const site::Appliance& appliance, const keys::Mek& mek, const Plan& plan,
                     const std::vector<std::string>& segments, const std::vector<std::string>& available) {
  const audit::MekHistory& history = appliance.log().state().meks.at(mek.id);
  policy::SealFacts facts;
  facts.now = appliance.now();
  facts.mek = {mek.label, mek.id, history.releases, history.encryptions};
  facts.mode = seal::to_string(plan.options.mode);
  facts.segments = segments;
  facts.available = available;
  facts.encryptions_wanted = plan.encryptions();
  return policy::evaluate(appliance.policy(), facts).findings();
}

// Each container that has segments to seal is judged for itself; one that only holds partitions has none.
void require_allowed(const site::Appliance& appliance, const keys::Mek& mek, const Plan& plan) {
  if (plan.partitions.empty() || !plan.options.segments.empty()) {
    const auto findings =
        findings_on(appliance, mek, plan, plan.options.segments, names_of(plan.container, plan.partitions));
    if (!findings.empty()) deny("sealing", findings);
  }
  for (const seal::Partition& partition : plan.partitions) {
    const auto findings =
        findings_on(appliance, mek, plan, partition.segments, names_of(partition.container, {}));
    if (!findings.empty()) deny("sealing partition '" + partition.name + "'", findings);
  }
}

std::string model_name(const SealModelOptions& request) {
  return request.model_name.empty() ? request.qpc.stem().string() : request.model_name;
}

Plan plan_for(const site::Appliance& appliance, const keys::Mek& mek, const SealModelOptions& request,
              const Fd& input, const qpc::Container& container) {
  Plan plan{input, container, read_partitions(input, container, request.order), {}};
  const auto wanted = [&](const std::vector<std::string>& names) {
    return policy::segments_to_seal(appliance.policy(), mek.label, names);
  };
  for (seal::Partition& partition : plan.partitions)
    partition.segments = wanted(names_of(partition.container, {}));
  seal::SealOptions& options = plan.options;
  options.mode = request.mode;
  options.segments = wanted(names_of(container, plan.partitions));
  options.created = appliance.now();
  options.model_name = model_name(request);
  options.model_version = request.model_version;
  options.threads = request.threads;
  if (options.model_name.empty() || options.model_name.size() > seal::kMaxModelName)
    throw Error(ErrorKind::Usage, "the model's name has 1 to 128 bytes");
  return plan;
}

std::vector<std::string> sealed_segments(const Plan& plan) {
  std::vector<std::string> out = plan.options.segments;
  for (const seal::Partition& partition : plan.partitions)
    for (const std::string& segment : partition.segments) out.push_back(partition.name + "/" + segment);
  return out;
}

// An entry has a limit, and names of segments have none together: those that fit. The manifest, whose digest
// the result has, lists all.
Json named_segments(const Plan& plan) {
  constexpr std::size_t kMaxNames = 32768;  // bytes
  Json out = Json::object();
  out["segments"] = Json::array();
  const std::vector<std::string> names = sealed_segments(plan);
  std::size_t size = 0;
  for (const std::string& name : names) {
    size += name.size() + 3;  // quotes and comma; names are plain ASCII
    if (size > kMaxNames) break;
    out["segments"].push_back(name);
  }
  if (out["segments"].size() < names.size()) out["segments_left_out"] = names.size() - out["segments"].size();
  return out;
}

Json intent_of(const site::Appliance& appliance, const keys::Mek& mek, const Plan& plan) {
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

Json container_of(const seal::SealResult& sealed) {
  return {{"seal_id", to_hex(sealed.seal_id)}, {"manifest_sha256", to_hex(sealed.manifest_digest)}};
}

// Logged before and after; the output is complete but has no name yet.
seal::NestedResult seal_logged(site::Appliance& appliance, const keys::Mek& mek, const Plan& plan,
                               const Json& approval, const Fd& output, const seal::Progress& progress) {
  seal::NestedResult sealed;
  const auto seal_it = [&](const audit::Txn&) {
    const auto key = appliance.open_key(mek);
    keys::SealKey signer(appliance.seal_key());
    sealed = seal::seal_nested(plan.input, plan.container, plan.partitions, plan.options, *key, signer,
                               appliance.random(), output, progress);
    Json data = container_of(sealed.root);
    data["file_size"] = sealed.root.file_size;
    data["partitions"] = Json::array();
    for (const seal::SealResult& partition : sealed.partitions)
      data["partitions"].push_back(container_of(partition));
    return data;
  };
  site::logged_act(appliance.log(),
                   {"seal", site::with_approval(intent_of(appliance, mek, plan), approval), seal_it});
  return sealed;
}

void require_one_a_part(const Plan& plan, const std::vector<release::Report>& reports) {
  if (reports.size() == plan.parts()) return;
  throw Error(ErrorKind::Usage,
              std::to_string(reports.size()) + (reports.size() == 1 ? " report" : " reports") +
                  " for a model of " + std::to_string(plan.parts()) +
                  (plan.parts() == 1 ? " part" : " partitions"),
              "give one report for each, in the order of the partitions");
}

// The container, or the partition of each card.
std::vector<seal::SealResult> loads_of(const seal::NestedResult& sealed) {
  if (sealed.partitions.empty()) return {sealed.root};
  return sealed.partitions;
}

std::vector<Json> bind_new(const seal::NestedResult& sealed, const std::vector<release::Grant>& grants,
                           const Fd& output) {
  const std::vector<seal::SealResult> loads = loads_of(sealed);
  std::vector<Json> acts;
  std::vector<seal::Binding> bindings;
  for (std::size_t i = 0; i < grants.size(); ++i) {
    bindings.push_back({loads[i].slot_page, grants[i].slots()});
    Json container = container_of(sealed.root);
    container["partition"] = i;
    acts.push_back({{"containers", Json::array({std::move(container)})}});
  }
  seal::write_slots(output, bindings);
  return acts;
}

// The sealed model is complete and logged, and its card does not get it (any more): it stays, unbound.
Error keep_unbound(const Error& error, const seal::NestedResult& sealed, AtomicFile& file,
                   const std::filesystem::path& output) {
  try {
    const Bytes unbound(seal::kPageSize);
    for (const seal::SealResult& load : loads_of(sealed)) write_exact(file.fd(), unbound, load.slot_page);
    file.commit();
  } catch (const Error&) {
    return error;
  }
  return {error.kind(), error.what(),
          "the model is sealed and unbound: " + output.string() +
              "; 'qpcseal encrypt-with-session-keys' binds it" +
              (error.hint().empty() ? "" : "; " + error.hint()),
          error.findings()};
}

// By the same steps as any sealed model.
std::vector<release::Grant> bind_sealed(site::Appliance& appliance, const keys::Mek& mek,
                                        const std::vector<release::Report>& reports,
                                        const release::ReleaseApproval& approval,
                                        const seal::NestedResult& sealed, AtomicFile& output) {
  release::Transaction release(appliance, mek, reports, approval, release::Transaction::Mode::AllOrNone);
  std::vector<Json> acts = bind_new(sealed, release.wrap(), output.fd());
  output.sync();
  release.commit(std::move(acts));
  return release.grants();
}

// One that would be denied now is denied now, by the log too, and not after hours of sealing.
void require_passing(site::Appliance& appliance, const keys::Mek& mek,
                     const std::vector<release::Report>& reports, const release::ReleaseApproval& approval) {
  if (release::Transaction::would_pass(appliance, mek, reports)) return;
  const release::Transaction denied(appliance, mek, reports, approval, release::Transaction::Mode::AllOrNone);
  throw Error(ErrorKind::Internal, "a release that did not pass a moment ago passes now");
}

}  // namespace

SealedModel seal_model(site::Appliance& appliance, const keys::Mek& mek, const SealModelOptions& request,
                       const seal::Progress& progress) {
  mek::refuse_replaced(appliance.log().state(), mek);
  appliance.refuse_wrap_only(mek);
  const Json approval = appliance.approve(
      "seal", {{"mek", mek.label}, {"mek_id", to_hex(mek.id)}, {"model", model_name(request)}});
  return with_context("sealing '" + request.qpc.string() + "'", [&] {
    const Fd input = open_to_read(request.qpc);
    const qpc::Container container = qpc::Container::read(input);
    seal::check_plain(container);
    const Plan plan = plan_for(appliance, mek, request, input, container);
    if (!request.reports.empty()) require_one_a_part(plan, request.reports);
    require_allowed(appliance, mek, plan);
    std::optional<release::ReleaseApproval> release;
    if (!request.reports.empty()) {
      release.emplace(appliance, mek, release::digests_of(request.reports));
      require_passing(appliance, mek, request.reports, *release);
    }
    make_folder(request.output_folder, 0755);
    SealedModel model{request.output_folder / kOutputName, {}, sealed_segments(plan), {}, {}};
    for (const seal::Partition& partition : plan.partitions) model.partitions.push_back(partition.name);
    AtomicFile output(model.output, request.existing);
    with_context(model.output.string(),
                 [&] { reserve(output.fd(), seal::sealed_size(container, plan.partitions, plan.options)); });
    const seal::NestedResult sealed = seal_logged(appliance, mek, plan, approval, output.fd(), progress);
    model.sealed = sealed.root;
    if (release) {
      try {
        model.grants = bind_sealed(appliance, mek, request.reports, *release, sealed, output);
      } catch (const Error& error) {
        throw keep_unbound(error, sealed, output, model.output);
      }
    }
    site::after_result("the model is sealed",
                       "seal it again; the log keeps this one as a container that nobody has",
                       [&] { output.commit(); });
    return model;
  });
}

}  // namespace qpcseal::models
