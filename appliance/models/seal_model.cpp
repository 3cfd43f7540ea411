// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/seal_model.h"

#include <algorithm>

#include "appliance/mek/rotate.h"
#include "appliance/models/folder_files.h"
#include "appliance/models/seal_act.h"
#include "appliance/seal/bind.h"
#include "appliance/site/logged_act.h"
#include "base/error.h"
#include "base/file_set.h"

namespace qpcseal::models {

namespace {

using encoding::Json;

void require_one_a_part(const SealPlan& plan, const std::vector<release::Report>& reports) {
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
    Json container = container_json(sealed.root);
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
  return error.with_hint("the model is sealed and unbound: " + output.string() +
                         "; 'qpcseal encrypt-with-session-keys' binds it" +
                         (error.hint().empty() ? "" : "; " + error.hint()));
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
  return with_context("sealing '" + request.qpc.string() + "'", [&] {
    const Fd input = open_to_read(request.qpc);
    refuse_other_file(input);
    const qpc::Container container = qpc::Container::read(input);
    seal::check_plain(container);
    const SealPlan plan = plan_sealing(appliance, mek, request, input, container);
    const Json approved =
        approve_seal(appliance, mek, plan.options.model_name, [&] { return file_digest(input); });
    if (!request.reports.empty()) require_one_a_part(plan, request.reports);
    std::optional<release::ReleaseApproval> release;
    if (!request.reports.empty()) {
      release.emplace(appliance, mek, release::digests_of(request.reports));
      require_passing(appliance, mek, request.reports, *release);
    }
    make_output_folder(request.output_folder);
    SealedModel model{request.output_folder / kOutputName, {}, plan.sealed_segments(), plan.readable, {}, {}};
    for (const seal::Partition& partition : plan.partitions) model.partitions.push_back(partition.name);
    AtomicFile output(model.output, request.existing);
    with_context(model.output.string(), [&] { reserve(output.fd(), plan.size()); });
    const seal::NestedResult sealed = seal_logged(appliance, mek, plan, approved, output.fd(), progress);
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
