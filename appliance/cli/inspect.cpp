#include <memory>

#include "appliance/audit/words.h"
#include "appliance/cli/app.h"
#include "appliance/keys/wrap.h"
#include "appliance/release/approval_request.h"
#include "appliance/seal/format.h"
#include "appliance/seal/layout.h"
#include "appliance/seal/manifest.h"
#include "appliance/seal/slots.h"
#include "attest/request.h"
#include "attest/scheme.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::cli {

namespace {

using Rows = std::vector<std::vector<std::string>>;

void add_segment(Report& report, Rows& rows, const qpc::Segment& segment, const std::string& kind) {
  rows.push_back(
      {printable(segment.name), std::to_string(segment.size), std::to_string(segment.offset), kind});
  report.json["segments"].push_back(
      {{"name", segment.name}, {"size", segment.size}, {"offset", segment.offset}, {"kind", kind}});
}

Report inspect_plain(const qpc::Container& container) {
  Report report;
  report.json = {
      {"type", "qpc"}, {"size", container.file_size()}, {"segments", nlohmann::ordered_json::array()}};
  Rows rows{{"SEGMENT", "SIZE", "OFFSET", "KIND"}};
  for (const qpc::Segment& segment : container.segments()) add_segment(report, rows, segment, "plain");
  report.text = "plain QPC, " + std::to_string(container.file_size()) + " bytes, " +
                std::to_string(container.segments().size()) + " segments\n" + table(rows);
  return report;
}

std::string kind_of(seal::SegmentKind kind) {
  if (kind == seal::SegmentKind::Sealed) return "sealed";
  return kind == seal::SegmentKind::Inner ? "inner container" : "clear";
}

std::string mode_of(const Fd& file, const seal::Layout& layout, const seal::Manifest& manifest) {
  for (std::size_t i = 0; i < manifest.segments.size() && i < layout.segments.size(); ++i) {
    if (manifest.segments[i].kind != seal::SegmentKind::Sealed) continue;
    Bytes header(seal::kHeaderSize);
    read_exact(file, header, layout.segments[i].data_position);
    return std::string(seal::name_of(seal::parse_header(header).mode));
  }
  return "none";
}

void add_binding(Report& report, ByteView slot_page) {
  const auto slots = seal::parse_slots(slot_page);
  report.json["bound"] = slots.has_value();
  if (!slots) {
    report.text += "not bound to a card\n";
    return;
  }
  constexpr std::size_t kSuite = 5;  // "QMEK" | version | suite
  const auto suite = slots->encrypt.size() > kSuite ? keys::suite_from(slots->encrypt[kSuite]) : std::nullopt;
  const std::string name = suite ? std::string(keys::name_of(*suite)) : "unknown";
  report.json["suite"] = name;
  report.json["nonce"] = to_hex(slots->nonce);
  report.text += "bound to a card's session: suite " + name + ", nonce " + to_hex(slots->nonce) + "\n";
}

Report inspect_sealed(const Fd& file) {
  const seal::SealedContainer container = seal::SealedContainer::read(file);
  const seal::Manifest manifest = seal::parse_manifest(container.manifest());
  const std::string mode = mode_of(file, container.layout(), manifest);
  Report report;
  report.json = {{"type", "sealed qpc"},
                 {"size", container.layout().file_size},
                 {"mode", mode},
                 {"mek_id", to_hex(manifest.mek_id)},
                 {"seal_id", to_hex(manifest.seal_id)},
                 {"model", manifest.model_name},
                 {"model_version", manifest.model_version},
                 {"created", format_time(manifest.created)},
                 {"partition", {{"index", manifest.partition_index}, {"count", manifest.partition_count}}},
                 {"segments", nlohmann::ordered_json::array()}};
  Rows rows{{"SEGMENT", "SIZE", "OFFSET", "KIND"}};
  for (std::size_t i = 0; i < manifest.segments.size() && i < container.layout().segments.size(); ++i)
    add_segment(report, rows, container.layout().segments[i], kind_of(manifest.segments[i].kind));
  report.text = "sealed QPC, " + std::to_string(container.layout().file_size) +
                " bytes (the seal itself is NOT verified here)\n" + "model " +
                printable(manifest.model_name) + ", version " + std::to_string(manifest.model_version) +
                ", sealed " + format_time(manifest.created) + "\nMEK id  " + to_hex(manifest.mek_id) +
                "\nseal id " + to_hex(manifest.seal_id) + "\nmode " + mode + "\n";
  add_binding(report, container.slot_page());
  report.text += table(rows);
  return report;
}

Report inspect_request(const attest::Request& request) {
  std::string types;
  for (const auto type : request.key_types)
    types += (types.empty() ? "" : ", ") + std::string(attest::name_of(type));
  const std::string card = request.ueid ? to_hex(*request.ueid) : "any";
  Report report;
  report.json = {{"type", "request"},
                 {"aud", to_hex(request.aud)},
                 {"nonce", to_hex(request.nonce)},
                 {"mek_id", to_hex(request.mek_id)},
                 {"ueid", request.ueid ? nlohmann::ordered_json(card) : nullptr},
                 {"expires", format_time(request.expiry)},
                 {"session_keys", types}};
  report.text = "attestation request\n" + table({{"appliance", to_hex(request.aud)},
                                                 {"nonce", to_hex(request.nonce)},
                                                 {"MEK id", to_hex(request.mek_id)},
                                                 {"card", card},
                                                 {"expires", format_time(request.expiry)},
                                                 {"session keys", types}});
  return report;
}

Report inspect_report(ByteView bytes) {
  for (const auto& scheme : attest::all_schemes()) {
    const attest::Evidence evidence = scheme->inspect(bytes);
    if (!evidence.claims) continue;
    const attest::Claims& claims = *evidence.claims;
    Report report;
    report.json = {{"type", "report"},
                   {"scheme", scheme->id()},
                   {"verified", false},
                   {"ueid", to_hex(claims.ueid)},
                   {"nonce", to_hex(claims.nonce)},
                   {"dbgstat", claims.dbgstat},
                   {"lifecycle", attest::lifecycle_name(claims.lifecycle)},
                   {"session_key", attest::name_of(claims.session_key.type)},
                   {"measurements", nlohmann::ordered_json::array()}};
    Rows rows{{"ueid", to_hex(claims.ueid)},
              {"nonce", to_hex(claims.nonce)},
              {"oemid", std::to_string(claims.oemid)},
              {"hwmodel", to_hex(claims.hwmodel)},
              {"dbgstat", std::to_string(claims.dbgstat)},
              {"lifecycle", attest::lifecycle_name(claims.lifecycle)},
              {"session key", std::string(attest::name_of(claims.session_key.type))}};
    for (const auto& m : claims.measurements) {
      rows.push_back({"measurement", printable(m.name) + " " + to_hex(m.digest)});
      report.json["measurements"].push_back({{"name", m.name}, {"digest", to_hex(m.digest)}});
    }
    report.text = "attestation report, scheme " + std::string(scheme->id()) +
                  ": what it SAYS; nothing is verified here\n" + table(rows);
    return report;
  }
  throw Error(ErrorKind::Malformed, "neither a QPC, nor a report, nor a request");
}

Report inspect_approval(const std::string& text) {
  const release::ApprovalRequest request = release::parse_approval_request(text);
  const Sha256Digest digest = sha256(view(text));
  Report report;
  report.json = {{"type", "approval request"},
                 {"operation", request.operation},
                 {"parameters", nlohmann::ordered_json(request.parameters)},
                 {"appliance", request.appliance_id},
                 {"not_before", format_time(request.not_before)},
                 {"not_after", format_time(request.not_after)},
                 {"threshold", request.threshold},
                 {"sha256", to_hex(digest)},
                 {"words", audit::words_of(digest)}};
  report.text = text + "\nSHA-256 " + to_hex(digest) + "\n" + audit::words_of(digest) + "\n";
  return report;
}

bool is_qpc(const Fd& file) {
  if (file_size(file) < sizeof(qpc::kMagic)) return false;
  Bytes magic(sizeof(qpc::kMagic));
  read_exact(file, magic, 0);
  return load_le(magic) == qpc::kMagic;
}

Report run(const std::string& path) {
  const Fd file = open_to_read(path);
  return with_context(path, [&] {
    if (is_qpc(file)) {
      const qpc::Container container = qpc::Container::read(file);
      return container.is_sealed() ? inspect_sealed(file) : inspect_plain(container);
    }
    const Bytes bytes = read_file(path, attest::kMaxReport);
    const std::string text(text_of(bytes));
    if (release::is_approval_request(text)) return inspect_approval(text);
    try {
      return inspect_request(attest::parse_request(bytes));
    } catch (const Error&) {
      return inspect_report(bytes);
    }
  });
}

}  // namespace

void add_inspect(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("inspect", "What a file is and holds; no token, no home, nothing verified");
  auto path = std::make_shared<std::string>();
  command->add_option("FILE", *path, "QPC, sealed QPC, report, request, or request for approval")->required();
  add_output_options(*command, context);
  command->callback([&context, path] { context.command = [path] { return run(*path); }; });
}

}  // namespace qpcseal::cli
