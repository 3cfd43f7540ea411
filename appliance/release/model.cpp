#include "appliance/release/model.h"

#include "appliance/seal/bind.h"
#include "appliance/seal/manifest.h"
#include "base/error.h"

namespace qpcseal::release {

namespace {

using audit::Json;

[[noreturn]] void deny(const std::string& what, const Findings& findings) {
  std::string ids;
  for (const Finding& finding : findings) ids += (ids.empty() ? "" : ", ") + finding.id;
  throw Error(ErrorKind::Denied, what + " is denied: " + ids, "", findings);
}

std::vector<std::string> names_of(const qpc::Container& container) {
  std::vector<std::string> out;
  for (const qpc::Segment& segment : container.segments())
    if (segment.size > 0) out.push_back(segment.name);
  return out;
}

policy::Decision decide(const Appliance& appliance, const keys::Mek& mek, const qpc::Container& container,
                        const seal::SealOptions& options) {
  const audit::MekHistory& history = appliance.log().state().meks.at(mek.id);
  policy::SealFacts facts;
  facts.now = appliance.now();
  facts.mek = {mek.label, mek.id, history.releases, history.encryptions};
  facts.mode = seal::name_of(options.mode);
  facts.segments = options.segments;
  facts.available = names_of(container);
  facts.encryptions_wanted = seal::encryptions_needed(container, options);
  return policy::evaluate(appliance.policy(), facts);
}

std::string model_name(const SealWish& wish) {
  return wish.model_name.empty() ? wish.qpc.stem().string() : wish.model_name;
}

seal::SealOptions options_of(const Appliance& appliance, const keys::Mek& mek, const SealWish& wish,
                             const qpc::Container& container) {
  seal::SealOptions options;
  options.mode = wish.mode;
  options.segments = policy::segments_to_seal(appliance.policy(), mek.label, names_of(container));
  options.created = appliance.now();
  options.model_name = model_name(wish);
  options.model_version = wish.model_version;
  options.threads = wish.threads;
  if (options.model_name.empty() || options.model_name.size() > seal::kMaxModelName)
    throw Error(ErrorKind::Usage, "the model's name has 1 to 128 bytes");
  return options;
}

Json intent_of(const Appliance& appliance, const keys::Mek& mek, const seal::SealOptions& options,
               std::uint64_t encryptions) {
  return {{"mek_id", to_hex(mek.id)},
          {"mek", mek.label},
          {"mode", seal::name_of(options.mode)},
          {"segments", options.segments},
          {"encryptions", encryptions},
          {"model", options.model_name},
          {"model_version", options.model_version},
          {"policy", {{"digest", appliance.policy_digest()}, {"serial", appliance.policy().serial.value}}}};
}

Json container_of(const Bytes& seal_id, const Sha256Digest& manifest) {
  return {{"seal_id", to_hex(seal_id)}, {"manifest_sha256", to_hex(manifest)}};
}

// Logged before and after; the output is complete but has no name yet.
seal::SealResult seal_logged(Appliance& appliance, const keys::Mek& mek, const Fd& input,
                             const qpc::Container& container, const seal::SealOptions& options,
                             const Json& approval, const Fd& output, const seal::Progress& progress) {
  const audit::Txn txn = appliance.log().intent(
      "seal", with_approval(intent_of(appliance, mek, options, seal::encryptions_needed(container, options)),
                            approval));
  try {
    const auto key = appliance.open_key(mek);
    keys::SealKey signer(appliance.seal_key());
    seal::SealResult result =
        seal::seal(input, container, options, *key, signer, appliance.random(), output, progress);
    Json data = container_of(result.seal_id, result.manifest_digest);
    data["file_size"] = result.file_size;
    appliance.log().result(txn, "ok", std::move(data));
    return result;
  } catch (const Error& error) {
    appliance.log().result(txn, "failed", {{"error", error.what()}});
    throw;
  }
}

void require_one(const std::vector<Report>& reports) {
  if (reports.size() != 1)
    throw Error(ErrorKind::Usage,
                std::to_string(reports.size()) + " reports for a container of one partition",
                "give one report");
}

}  // namespace

SealedModel seal_model(Appliance& appliance, const keys::Mek& mek, const SealWish& wish,
                       const seal::Progress& progress) {
  appliance.refuse_wrap_only(mek);
  const Json approval = appliance.approve(
      "seal", {{"mek", mek.label}, {"mek_id", to_hex(mek.id)}, {"model", model_name(wish)}});
  if (!wish.reports.empty()) require_one(wish.reports);
  return with_context("sealing '" + wish.qpc.string() + "'", [&] {
    const Fd input = open_to_read(wish.qpc);
    const qpc::Container container = qpc::Container::read(input);
    seal::check_plain(container);
    const seal::SealOptions options = options_of(appliance, mek, wish, container);
    if (const auto decision = decide(appliance, mek, container, options); !decision.allowed())
      deny("sealing", decision.findings());
    make_folder(wish.output_folder, 0755);
    SealedModel model{wish.output_folder / kOutputName, {}, options.segments, {}};
    AtomicFile output(model.output, wish.existing);
    const auto seal_now = [&] {
      model.sealed = seal_logged(appliance, mek, input, container, options, approval, output.fd(), progress);
    };
    if (wish.reports.empty()) {
      seal_now();
      output.commit();
      return model;
    }
    model.grants =
        release(appliance, mek, wish.reports, [&](const std::vector<Grant>& grants) -> std::vector<Json> {
          seal_now();
          seal::write_slots(output.fd(), model.sealed.slot_page, grants.front().slots());
          output.commit();
          return {container_of(model.sealed.seal_id, model.sealed.manifest_digest)};
        });
    return model;
  });
}

BoundModel bind_model(Appliance& appliance, const keys::Mek& mek, const BindWish& wish) {
  require_one(wish.reports);
  const std::filesystem::path source = wish.input_folder / kOutputName;
  return with_context("binding '" + source.string() + "'", [&] {
    const Fd input = open_to_read(source);
    const seal::SealedContainer container = seal::SealedContainer::read(input);
    const seal::Manifest manifest = seal::parse_manifest(container.manifest());
    if (manifest.mek_id != mek.id)
      throw Error(ErrorKind::Denied, "it is sealed under MEK id " + to_hex(manifest.mek_id) + ", not " +
                                         mek.label + " (" + to_hex(mek.id) + ")");
    if (seal::parse_slots(container.slot_page()) && !wish.rebind)
      throw Error(ErrorKind::Usage, "it is bound to a card already",
                  "--force binds it anew; the old binding is then gone");
    const bool in_place = wish.output_folder.empty();
    if (!in_place) make_folder(wish.output_folder, 0755);
    BoundModel model{in_place ? source : wish.output_folder / kOutputName, {}};
    AtomicFile output(model.output, in_place ? Existing::Replace : wish.existing);
    model.grants =
        release(appliance, mek, wish.reports, [&](const std::vector<Grant>& grants) -> std::vector<Json> {
          seal::bind_copy(input, container, grants.front().slots(), output.fd());
          output.commit();
          return {container_of(manifest.seal_id, sha256(container.manifest()))};
        });
    return model;
  });
}

}  // namespace qpcseal::release
