// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <set>

#include "appliance/approval/approval_request.h"
#include "appliance/approval/officers.h"
#include "appliance/approval/sshsig.h"
#include "appliance/cli/commands/context.h"
#include "appliance/cli/output/bundle_parts.h"
#include "appliance/cli/output/claims.h"
#include "appliance/cli/output/inspect_container.h"
#include "appliance/cli/output/inspect_json.h"
#include "appliance/cli/output/set_report.h"
#include "appliance/mek/backup.h"
#include "appliance/verdict/bundle.h"
#include "attest/request.h"
#include "attest/scheme.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/file_set.h"
#include "base/terminal.h"
#include "encoding/file_kind.h"
#include "encoding/pgp_words.h"
#include "qpc/container.h"

namespace qpcseal::cli {

namespace {

constexpr std::size_t kMaxFile = verdict::kMaxBundle, kMaxOther = std::size_t{1} << 20;  // bytes

using Rows = std::vector<std::vector<std::string>>;

Report inspect_request(ByteView bytes) {
  const attest::Request request = attest::parse_request(bytes);
  std::string types;
  for (const auto type : request.key_types)
    types += (types.empty() ? "" : ", ") + std::string(attest::to_string(type));
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
                                                 {"session keys", types}},
                                                Head::No);
  return report;
}

Report inspect_report(ByteView bytes) {
  for (const auto& scheme : attest::all_schemes()) {
    const attest::Evidence evidence = scheme->inspect(bytes);
    if (!evidence.claims) continue;
    Report report;
    report.json = {{"type", "report"}, {"scheme", scheme->id()}, {"verified", false}};
    report.json.update(as_json(*evidence.claims));
    report.text = "attestation report, scheme " + std::string(scheme->id()) +
                  ": what it SAYS; nothing is verified here\n" +
                  table(claim_rows(*evidence.claims), Head::No);
    return report;
  }
  throw Error(ErrorKind::Malformed, "neither a QPC, nor a report, a request, a recovery key or a backup");
}

// Kinds of files that other commands show, and what shows each.
constexpr std::array<std::pair<std::string_view, std::string_view>, 15> kShownElsewhere = {{
    {"a policy", "qpcseal policy check FILE"},
    {"a ceremony's plan", "qpcseal ceremony lint FILE"},
    {"a ceremony's record", "qpcseal ceremony check FILE --log COPY --key VKEY"},
    {"an officers file", "qpcseal officers show FILE"},
    {"a collateral bundle", "qpcseal trust sign FILE shows it before it asks"},
    {"a genesis", "it is plain text; qpcseal approve FILE"},
    {"a rejection of a request", "it is plain text, and names the request's SHA-256"},
    {"a signed checkpoint", "qpcseal audit verify --earlier FILE"},
    {"a log's entries", "qpcseal audit show --log FOLDER, with the folder that it lies in"},
    {"a tar archive", "qpcseal home verify FILE, if it is a home's backup"},
    {"a certificate", "openssl x509 -noout -text -in FILE"},
    {"a CRL", "openssl crl -noout -text -in FILE"},
    {"a verification key", "qpcseal audit verify --key FILE"},
    {"a courier's batch", "qpcseal-attest --batch FILE"},
    {"a file of commands", "qpcseal run FILE"},
}};

// Named, and no more.
std::optional<Report> name_kind(ByteView bytes) {
  const std::string_view kind = encoding::file_kind(bytes);
  for (const auto& [known, shown_by] : kShownElsewhere) {
    if (kind != known) continue;
    Report report;
    report.json = {{"type", kind}, {"shown_by", shown_by}, {"sha256", sha256_hex(bytes)}};
    report.text = "this is " + std::string(kind) + "\nshown by: " + std::string(shown_by) + "\nSHA-256 " +
                  sha256_hex(bytes) + "\n";
    return report;
  }
  return std::nullopt;
}

// Whose key it is, where the home's officers file, as it lies there, has it.
std::string officer_with(const approval::SshPublicKey& key) {
  const auto home = site::find_home();
  if (!home || !std::filesystem::exists(home->officers())) return "";
  const approval::Officers officers =
      approval::parse_officers(read_text_file(home->officers(), approval::kMaxOfficersFile));
  for (const approval::Officer& officer : officers.list)
    if (officer.key.blob == key.blob) return officer.name;
  return "";
}

// What was signed is in it as a digest alone, so an approval and a rejection look the same.
Report inspect_signature(std::string_view text) {
  const approval::SshSignature signature = approval::parse_sshsig(text);
  const std::string fingerprint = approval::ssh_fingerprint(signature.key.blob),
                    officer = officer_with(signature.key);
  Report report;
  report.json = {{"type", "an SSH signature"},
                 {"namespace", signature.sig_namespace},
                 {"fingerprint", fingerprint},
                 {"officer", officer.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(officer)},
                 {"sha256", sha256_hex(view(text))}};
  report.text = "this is an SSH signature\n" +
                table({{"namespace", printable(signature.sig_namespace)},
                       {"key", fingerprint},
                       {"officer", officer.empty() ? "none of the officers file here" : officer},
                       {"SHA-256", sha256_hex(view(text))}},
                      Head::No) +
                "what was signed, and whether it is right: ssh-keygen -Y verify with the signed file "
                "(docs/OPERATIONS.md)\n";
  return report;
}

Report inspect_approval(const std::string& text) {
  const approval::ApprovalRequest request = approval::parse_approval_request(text);
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
                 {"words", encoding::to_words(digest)}};
  report.text =
      text + "\nSHA-256 " + to_hex(digest) + "\n" + encoding::word_lines(digest, "  ", text_columns());
  return report;
}

// The public half of a recovery key: its SHA-256 is what officers agree to.
Report inspect_recovery_key(ByteView bytes) {
  const keys::RecoveryKeyFile file = keys::parse_recovery_key(bytes);
  const Sha256Digest digest = sha256(bytes);
  std::string suites;
  for (const keys::Suite suite : file.suites)
    suites += (suites.empty() ? "" : ", ") + std::string(keys::to_string(suite));
  Report report;
  report.json = {{"type", "recovery key"},
                 {"recovery_key_sha256", to_hex(digest)},
                 {"words", encoding::to_words(digest)},
                 {"appliance", file.appliance_id},
                 {"aud", to_hex(file.aud)},
                 {"token_serial", file.token_serial},
                 {"token_model", file.token_model},
                 {"suites", suites},
                 {"created", format_time(file.created)}};
  report.text = "recovery key: what it SAYS; its appliance's officers read these words to the source's\n" +
                table({{"recovery_key_sha256", to_hex(digest)},
                       {"appliance", printable(file.appliance_id) + " (aud " + to_hex(file.aud) + ")"},
                       {"token", printable(file.token_model) + ", serial " + printable(file.token_serial)},
                       {"suites", suites},
                       {"created", format_time(file.created)}},
                      Head::No) +
                "recovery_key_sha256 in words:\n" + encoding::word_lines(digest, "  ", text_columns());
  return report;
}

// Signed by the seal key that it names; whether that is the source's, officers compare.
Report inspect_backup(ByteView bytes) {
  const keys::BackupHeader header = keys::parse_backup(bytes).header;
  const encoding::Json parameters = mek::request_parameters(header, sha256_hex(bytes));
  Report report;
  report.json = {{"type", "backup"}};
  report.json.update(nlohmann::ordered_json(parameters));
  report.json.update({{"recovery_key_sha256", to_hex(header.recovery_key)},
                      {"suite", keys::to_string(header.suite)},
                      {"encryptions", header.encryptions},
                      {"created", format_time(header.created)},
                      {"source_log_key", header.log_key}});
  Rows rows;
  for (const auto& [name, value] : parameters.items())
    rows.push_back({name, printable(value.get<std::string>())});
  rows.push_back({"recovery_key_sha256", to_hex(header.recovery_key)});
  rows.push_back({"suite", std::string(keys::to_string(header.suite))});
  rows.push_back({"encryptions", std::to_string(header.encryptions)});
  if (header.exposed_since > 0) {
    rows.push_back({"EXPOSED since", format_time(header.exposed_since)});
    report.json["exposed_since"] = format_time(header.exposed_since);
  }
  rows.push_back({"created", format_time(header.created)});
  report.text =
      "backup of a MEK: what it SAYS, signed by the seal key that it names\n" + table(rows, Head::No);
  return report;
}

bool is_json(ByteView bytes) {
  const auto first = std::find_if(bytes.begin(), bytes.end(), [](std::uint8_t c) { return c > ' '; });
  return first != bytes.end() && *first == '{';
}

Report inspect_bytes(ByteView bytes) {
  const std::string text(text_view(bytes));
  if (approval::is_approval_request(text)) return inspect_approval(text);
  if (encoding::file_kind(bytes) == "an SSH signature") return inspect_signature(text);
  if (auto named = name_kind(bytes)) return std::move(*named);
  if (is_json(bytes)) return inspect_json(text);
  if (bytes.size() > kMaxOther) throw Error(ErrorKind::Malformed, "too large for anything that it could be");
  for (Report (*const inspect)(ByteView) : {inspect_recovery_key, inspect_backup, inspect_request}) {
    try {
      return inspect(bytes);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Malformed) throw;
    }
  }
  return inspect_report(bytes);
}

struct InspectOptions {
  std::string path, parts_to;
};

// The parts of a bundle, as files.
void write_parts(const InspectOptions& options, Report& report) {
  const std::string text = read_text_file(options.path, kMaxFile);
  if (!verdict::is_bundle(text)) throw Error(ErrorKind::Usage, "--parts-to is for a bundle");
  const std::filesystem::path dir = options.parts_to;
  OutputSet outputs(Existing::Refuse);
  outputs.dir(dir);
  std::set<std::string> names;
  for (const BundlePart& part : bundle_parts(encoding::parse_json(text, options.path))) {
    if (!names.insert(part.name).second) continue;  // an entry that has two parts in it
    outputs.write(dir / part.name, ByteView(part.bytes));
    report.written.push_back(dir / part.name);
  }
  outputs.commit();
  report.text +=
      "wrote " + std::to_string(names.size()) + " files into " + printable(options.parts_to) + "\n";
}

Report run_inspect(const std::string& path) {
  if (is_set_or_its_list(path)) return inspect_set(path);
  const Fd file = open_to_read(path);
  return with_context(path, [&] {
    if (qpc::is_qpc(file, 0, file_size(file))) return inspect_container(file);
    return inspect_bytes(read_file(path, kMaxFile));
  });
}

}  // namespace

void add_inspect(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("inspect", "What a file is and holds; no token, no home, nothing verified");
  auto options = std::make_shared<InspectOptions>();
  command
      ->add_option("FILE", options->path,
                   "QPC, sealed QPC, seal.set or the folder of a set, report, request, request for approval, "
                   "receipt, bundle, config.json of "
                   "wrapped MEKs, recovery key or backup")
      ->required();
  add_output_options(*command, context);
  command->add_option(
      "--parts-to", options->parts_to,
      "Write what a bundle holds (report, policy, officers, signatures, ...) into this folder");
  command->callback([&context, options] {
    context.command = [options] {
      Report report = run_inspect(options->path);
      if (!options->parts_to.empty()) write_parts(*options, report);
      return report;
    };
  });
}

}  // namespace qpcseal::cli
