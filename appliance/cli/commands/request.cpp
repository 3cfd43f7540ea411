// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <initializer_list>
#include <memory>

#include "appliance/approval/quorum.h"
#include "appliance/approval/standing.h"
#include "appliance/audit/mek_names.h"
#include "appliance/cli/commands/context.h"
#include "appliance/cli/commands/program_options.h"
#include "appliance/cli/commands/request_parameters.h"
#include "appliance/cli/commands/sign.h"
#include "appliance/cli/output/report_paths.h"
#include "appliance/mek/backup.h"
#include "appliance/mek/lifecycle.h"
#include "appliance/models/seal_input.h"
#include "appliance/release/approval.h"
#include "appliance/release/exposure.h"
#include "base/error.h"
#include "base/file.h"
#include "base/file_digest.h"
#include "base/nearest.h"
#include "base/terminal.h"
#include "encoding/pgp_words.h"

namespace qpcseal::cli {

namespace {

using encoding::Json;

struct RequestOptions {
  std::string operation, mek, lifetime = "7d", output;
  std::string backup, recovery_key, transferee, mek_file;  // files that parameters are read from
  std::vector<std::string> models;                         // likewise
  ProgramOptions programs;                                 // likewise
  unsigned days = 0;                                       // 0: as 'mek drill' does
  std::vector<std::string> parameters, digests, reports;
  bool force = false;
};

constexpr std::size_t kMaxDigestedFile = std::size_t{64} << 20;  // bytes

// "NAME=VALUE"
std::pair<std::string, std::string> split(const std::string& text, const char* option) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    throw Error(ErrorKind::Usage, std::string(option) + " " + text + ": not of the form NAME=VALUE");
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void put(Json& parameters, const std::string& name, Json value) {
  if (parameters.contains(name)) throw Error(ErrorKind::Usage, "parameter '" + name + "' is given twice");
  parameters[name] = std::move(value);
}

// As the log knows it: no token is asked. A name alone must have one generation that is still there.
const audit::MekHistory& find_mek(const audit::State& state, const std::string& reference) {
  const audit::MekHistory* found = nullptr;
  for (const auto& [id, mek] : state.meks) {
    const bool named = mek.label == reference || mek.label.starts_with(reference + "#");
    if (!named || mek.state == "failed" || mek.state == "destroyed") continue;
    if (found != nullptr)
      throw Error(ErrorKind::Usage,
                  "'" + reference + "' names several keys: " + found->label + ", " + mek.label,
                  "name one as label#generation");
    found = &mek;
  }
  if (found == nullptr)
    throw with_nearest({ErrorKind::Usage, "the log knows no MEK '" + reference + "' that is not destroyed",
                        "'qpcseal mek list' shows them"},
                       reference, audit::mek_names(state));
  return *found;
}

void refuse_elsewhere(const RequestOptions& options, const std::string& value, const char* option,
                      std::initializer_list<std::string_view> operations) {
  if (value.empty() || std::ranges::find(operations, options.operation) != operations.end()) return;
  throw Error(ErrorKind::Usage, std::string(option) + " is not for operation '" + options.operation + "'");
}

void read_backup(Json& out, const RequestOptions& options) {
  const Bytes file = read_file(options.backup, keys::kMaxBackupFile);
  const auto header = with_context(options.backup, [&] { return keys::parse_backup(file); }).header;
  const Json parameters = mek::request_parameters(header, sha256_hex(file));
  for (const auto& [name, value] : parameters.items()) put(out, name, value);
  if (options.operation == "mek-restore" && !out.contains("origin")) put(out, "origin", "restored");
  if (options.operation == "mek-drill") put(out, "days", options.days > 0 ? options.days : mek::kDrillDays);
}

// What the files say that the act will be given.
void read_files(Json& out, const RequestOptions& options) {
  refuse_elsewhere(options, options.backup, "--backup", {"mek-restore", "mek-drill"});
  refuse_elsewhere(options, options.recovery_key, "--recovery-key", {"mek-backup"});
  refuse_elsewhere(options, options.transferee, "--transfer-to", {"mek-destroy"});
  refuse_elsewhere(options, options.mek_file, "--file", {"mek-import"});
  if (options.days > 0 && (options.backup.empty() || options.operation != "mek-drill"))
    throw Error(ErrorKind::Usage, "--days goes with --backup, for operation 'mek-drill'");
  if (!options.backup.empty()) read_backup(out, options);
  if (!options.recovery_key.empty())
    put(out, "recovery_key_sha256", mek::recovery_key_digest(options.recovery_key));
  if (!options.transferee.empty())
    put(out, audit::kTransfereeKey, mek::recovery_key_digest(options.transferee));
  if (!options.mek_file.empty()) put(out, "check_value", mek::import_check_value(options.mek_file));
}

// What a repair is about, as of now: nothing else could be meant.
void put_log_facts(Json& out, const audit::LogCopy& log, const std::string& operation) {
  if (operation == "clock-correct") put(out, "old_floor", format_time(log.state.last_time));
  if (operation == "log-key-rotate") put(out, "previous", log.state.log_keys.back().vkey);
  if (operation != "anchor-accept") return;
  put(out, "log_size", log.checkpoint.size);
  put(out, "log_root", to_hex(log.checkpoint.root));
}

// Officers see all programs as they will be, with their SHA-256.
void put_programs(Json& out, const audit::State& state, const RequestOptions& options) {
  site::SiteChange change;
  take_programs(options.programs, change);
  if (change.programs.empty() && change.forget_programs.empty()) return;
  if (options.operation != "site-change")
    throw Error(ErrorKind::Usage, "--program is for operation 'site-change'");
  const Json parameters =
      site::request_parameters(state.site, site::changed(state.site, change, site::locate_home()));
  if (parameters.contains("programs")) put(out, "programs", parameters.at("programs"));
}

std::vector<std::filesystem::path> paths_of(const std::vector<std::string>& names) {
  return {names.begin(), names.end()};
}

// The model as the command will be given it.
void put_model(Json& out, const RequestOptions& options) {
  refuse_elsewhere(options, options.models.empty() ? "" : options.models.front(), "--qpc",
                   {"mek-expose", "seal"});
  if (options.operation != "seal" || options.models.empty()) return;
  const models::SealInput input = models::read_seal_input(paths_of(options.models));
  put(out, "input_sha256", to_hex(input.digest));
  if (!out.contains("model")) out["model"] = input.model;
}

// The tool as it is pinned, the reports and the model: what the command will be given.
void put_exposure(Json& out, const audit::State& state, const RequestOptions& options) {
  const auto* tool = audit::find_program(state.site, audit::kVendorTool);
  if (options.operation != "mek-expose") return;
  if (tool == nullptr)
    throw Error(ErrorKind::Denied, "the site's facts pin no program 'qaic-encrypt'",
                "'qpcseal site change --program qaic-encrypt=PATH'");
  if (!out.contains("mek")) return;  // which is missed next
  const std::string act = out.contains("act") ? out.at("act") : Json("");
  if (options.models.size() != (act == "encrypt-model" ? 1U : 0U))
    throw Error(ErrorKind::Usage,
                "--qpc, the one model that is encrypted, goes with --param act=encrypt-model");
  const Json known = release::expose_parameters(
      out.at("mek"), from_hex(out.at("mek_id").get_ref<const std::string&>()), *tool,
      {act, options.reports.empty() ? std::vector<Sha256Digest>{} : report_digests(options.reports),
       options.models.empty() ? "" : to_hex(file_digest(open_to_read(options.models.front())))});
  for (const auto& [name, value] : known.items())
    if (!out.contains(name)) out[name] = value;
}

Json given_parameters(const audit::LogCopy& log, const RequestOptions& options) {
  const audit::State& state = log.state;
  Json out = Json::object();
  put_log_facts(out, log, options.operation);
  put_programs(out, state, options);
  for (const std::string& text : options.parameters) {
    auto [name, value] = split(text, "--param");
    put(out, name, std::move(value));
  }
  for (const std::string& text : options.digests) {
    const auto [name, path] = split(text, "--digest");
    const Bytes file = read_file(path, kMaxDigestedFile);
    if (name == "officers_sha256")
      static_cast<void>(with_context(path, [&] { return approval::parse_officers(text_view(file)); }));
    put(out, name, sha256_hex(file));
  }
  if (!options.mek.empty()) {
    const audit::MekHistory& mek = find_mek(state, options.mek);
    put(out, "mek", mek.label);
    put(out, "mek_id", to_hex(mek.id));
  }
  read_files(out, options);
  put_model(out, options);
  put_exposure(out, state, options);
  check_parameters(options.operation, out);
  return out;
}

Json request_parameters(const audit::LogCopy& log, const RequestOptions& options) {
  if (options.operation != "release") {
    if (!options.reports.empty() && options.operation != "mek-expose")
      throw Error(ErrorKind::Usage, "--report is for operations 'release' and 'mek-expose'");
    return given_parameters(log, options);
  }
  const bool whole = !options.mek.empty() && !options.reports.empty();
  Json none = Json::object();
  read_files(none, options);
  if (!whole || !options.parameters.empty() || !options.digests.empty())
    throw Error(ErrorKind::Usage,
                "a request for a release takes --mek and --report, and no other parameters");
  const audit::MekHistory& mek = find_mek(log.state, options.mek);
  return release::release_parameters(mek.label, mek.id, report_digests(options.reports));
}

// "12h" or "7d", at most 90 days, in seconds.
std::int64_t lifetime_of(const std::string& text) {
  constexpr std::int64_t kHour = 3600, kDay = 24 * kHour, kMost = 90 * kDay;
  const bool good = text.size() >= 2 && text.size() <= 5 && (text.back() == 'h' || text.back() == 'd') &&
                    text.find_first_not_of("0123456789") == text.size() - 1 && text.front() != '0';
  const std::int64_t seconds = good ? std::stoll(text) * (text.back() == 'h' ? kHour : kDay) : 0;
  if (seconds == 0 || seconds > kMost)
    throw Error(ErrorKind::Usage, "--valid " + text + ": hours or days like 12h or 7d, at most 90d");
  return seconds;
}

std::vector<std::string> operation_names() {
  const auto names = policy::operations();
  return {names.begin(), names.end()};
}

void require_operation(const std::string& name) {
  const std::vector<std::string> known = operation_names();
  if (std::ranges::find(known, name) != known.end()) return;
  throw with_nearest({ErrorKind::Usage, "unknown operation '" + name + "'", "operations: " + join(known)},
                     name, known);
}

// What no act would do, whoever agrees to it.
void refuse_in_vain(const audit::LogCopy& log, const approval::ApprovalRequest& request) {
  if (const std::string done = approval::why_done(log, request); !done.empty())
    throw Error(ErrorKind::Usage, "not written: what the request asks for is done: " + done);
  const bool names = request.operation == "mek-generate" || request.operation == "mek-import";
  if (names) keys::check_name(request.parameters.at("name").get_ref<const std::string&>());
}

// What officers would agree to in vain as things are.
std::string policy_note(const policy::Policy& policy, const approval::ApprovalRequest& request) {
  if (request.operation != "mek-generate") return "";
  const std::string name = request.parameters.value("name", "");
  if (policy.mek(keys::make_label(name, 1)) != nullptr) return "";
  return "WARNING: no [[mek]] of the policy is for '" + name + "': nothing could be sealed under it\n";
}

std::string suspended_note(const audit::State& state, const approval::ApprovalRequest& request) {
  if (request.operation == "mek-resume" || request.operation == "mek-destroy") return "";
  const std::string id = request.parameters.value("mek_id", "");
  for (const auto& [mek_id, mek] : state.meks)
    if (to_hex(mek_id) == id && mek.state == "suspended")
      return "WARNING: " + mek.label + " is suspended, and nothing uses it until 'qpcseal mek resume'\n";
  return "";
}

Report make_request(Context& context, const RequestOptions& options) {
  require_operation(options.operation);
  const std::int64_t lifetime = lifetime_of(options.lifetime);
  const site::Home home = site::locate_home();
  const audit::LogCopy log = audit::read_log(home.log(), std::nullopt);
  const policy::Policy policy = site::read_policy(home, log.state);
  static_cast<void>(approval::read_officers(home.officers(), log.state));
  // A request to put the log's time back is of the time that it goes back to.
  const UnixTime floor = options.operation == "clock-correct" ? 0 : log.state.last_time;
  const UnixTime now = std::max({context.clock.now(), floor, build_time()});
  const approval::ApprovalRequest request = approval::make_approval_request(
      log, policy, options.operation, request_parameters(log, options), now, lifetime, context.random);
  refuse_in_vain(log, request);
  const std::string text = approval::encode_approval_request(request);
  write_file(options.output, view(text), options.force ? Existing::Replace : Existing::Refuse);
  const Sha256Digest digest = sha256(view(text));
  const std::string sig_namespace(approval::approval_namespace(options.operation));
  Report report;
  report.json = {{"output", options.output},
                 {"operation", options.operation},
                 {"sha256", to_hex(digest)},
                 {"words", encoding::to_words(digest)},
                 {"namespace", sig_namespace},
                 {"threshold", request.threshold},
                 {"not_after", format_time(request.not_after)}};
  report.written = {options.output};
  report.log_entry = log.state.size - 1;
  report.text = text + "\nSHA-256 " + to_hex(digest) + "\n" +
                encoding::word_lines(digest, "  ", text_columns()) + "\nin " + options.output + ": " +
                std::to_string(request.threshold) + " officer(s) sign it by " +
                how_to_sign(options.output, "qpcseal approve", sig_namespace) +
                suspended_note(log.state, request) + policy_note(policy, request);
  return report;
}

}  // namespace

void add_requests(CLI::App& app, Context& context) {
  CLI::App* request = app.add_subcommand("request", "What officers are asked to approve");
  request->require_subcommand(1);
  CLI::App* command = request->add_subcommand("new", "A request for one act; needs the home, but no token");
  auto options = std::make_shared<RequestOptions>();
  command
      ->add_option("OPERATION", options->operation,
                   "As in the policy's [approvals]: " + join(operation_names()))
      ->required();
  command->add_option("--mek", options->mek, "The key that the act is about: parameters mek and mek_id");
  command->add_option("--param", options->parameters, "NAME=VALUE, a parameter of the act");
  command->add_option("--digest", options->digests, "NAME=FILE, the file's SHA-256 as a parameter");
  command->add_option("--backup", options->backup,
                      "A backup, for mek-restore and mek-drill: the parameters are read from it");
  command->add_option("--days", options->days, "With --backup, for mek-drill: how long the certificate holds")
      ->check(CLI::Range(1, 3650));
  command->add_option("--recovery-key", options->recovery_key,
                      "The recovery token's public key, for mek-backup");
  command->add_option("--transfer-to", options->transferee, "The transferee's recovery key, for mek-destroy");
  command->add_option("--file", options->mek_file, "The MEK file, for mek-import: its check value is taken");
  command->add_option("--report", options->reports,
                      "Attestation reports, for operations release and mek-expose: as for the command "
                      "itself, in its order");
  command->add_option("--qpc", options->models,
                      "The model, for seal as for encrypt-model: its SHA-256 and name are taken; and for "
                      "mek-expose of encrypt-model");
  add_program_options(*command, options->programs);
  command->add_option("--valid", options->lifetime, "Hours or days from now: 12h, 7d (default)");
  command->add_option("-o,--output", options->output, "File for the request")->required();
  command->add_flag("--force", options->force, "Replace an existing file");
  add_output_options(*command, context);
  command->callback([&context, options] {
    context.command = [&context, options] { return make_request(context, *options); };
  });
}

}  // namespace qpcseal::cli
