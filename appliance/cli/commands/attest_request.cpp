// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "appliance/cli/commands/context.h"
#include "appliance/release/courier_batch.h"
#include "appliance/site/logged_act.h"
#include "attest/devices.h"
#include "attest/evidence.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file_set.h"

namespace qpcseal::cli {

namespace {

constexpr std::size_t kRequestRoom = 4096;  // bytes: no request is longer

struct AttestRequestOptions {
  std::string mek, output;
  std::optional<std::string> ueid, device;
  std::vector<std::string> hosts;
  int port = release::kSessionPort;
  bool force = false, raw = false;

  [[nodiscard]] Existing existing() const { return force ? Existing::Replace : Existing::Refuse; }
};

Bytes ueid_of(const std::string& text) {
  return with_context("--ueid '" + text + "'", [&] {
    Bytes out = from_hex(text);
    if (out.size() < attest::kMinUeid || out.size() > attest::kMaxUeid)
      throw Error(ErrorKind::Usage, "a UEID has 7 to 33 bytes (RFC 9711 section 4.2.1)");
    return out;
  });
}

Report one(site::Appliance& appliance, const keys::Mek& mek, const AttestRequestOptions& options,
           release::ChallengeOptions wanted) {
  if (options.ueid) wanted.ueid = ueid_of(*options.ueid);
  AtomicFile output(options.output, options.existing());
  with_context(options.output, [&] { reserve(output.fd(), kRequestRoom); });
  const attest::Request made = release::make_requests(appliance, mek, {wanted}).front();
  const Bytes encoded = options.raw ? made.nonce : attest::encode_request(made);
  site::after_result("the challenge is made", release::kNewRequest, [&] {
    write_exact(output.fd(), encoded, 0);
    output.commit();
  });
  const std::string host = wanted.host.empty() ? "HOST" : wanted.host;
  const std::string device = wanted.device ? std::to_string(*wanted.device) : "N";
  Report report;
  report.json = {{"output", options.output},
                 {"sha256", sha256_hex(encoded)},
                 {"mek", mek.label},
                 {"nonce", to_hex(made.nonce)},
                 {"expires", format_time(made.expiry)}};
  report.json["raw"] = options.raw;
  report.written = {options.output};
  report.text = "request " + printable(options.output) + " for " + mek.label + ", to be answered by " +
                format_time(made.expiry) + "\n";
  if (options.raw)
    report.text +=
        "it is the bare nonce, 32 bytes, for the vendor's own client: QAicRemoteAttestationClient.py --ip " +
        host + " -d " + device + " -i " + printable(options.output) + " -o report.dat\n";
  else
    report.text += "take it to the card's host: qpcseal-attest --ip " + host + " --device " + device +
                   " -i " + printable(options.output) + " -o report.dat\n";
  return report;
}

Report many(site::Appliance& appliance, const keys::Mek& mek, const AttestRequestOptions& options,
            const std::vector<release::CardAddress>& stops) {
  if (options.ueid) throw Error(ErrorKind::Usage, "--ueid names one card; several are asked for");
  const release::CourierBatch trip =
      release::prepare_trip(appliance, mek, stops, options.port, options.output, options.existing());
  const std::string batch = (trip.dir / release::kBatchName).string();
  Report report;
  report.json = {{"output", trip.dir.string()},
                 {"mek", mek.label},
                 {"batch", batch},
                 {"expires", format_time(trip.expiry)},
                 {"requests", trip.requests}};
  report.written = {batch};
  for (const auto& name : trip.requests) report.written.push_back(trip.dir / name);
  report.text = std::to_string(stops.size()) + (stops.size() == 1 ? " request" : " requests") + " for " +
                mek.label + " in " + printable(trip.dir.string()) + ", to be answered by " +
                format_time(trip.expiry) + "\ntake the folder along: qpcseal-attest --batch " +
                printable(batch) + "\n";
  return report;
}

Report run_attest_request(Context& context, const AttestRequestOptions& options) {
  const auto devices = options.device ? attest::parse_devices(*options.device) : std::vector<unsigned>{};
  const bool dir = std::filesystem::is_directory(options.output) || options.output.ends_with('/');
  const bool several = devices.size() > 1 || options.hosts.size() > 1 || dir;
  if (several && options.raw)
    throw Error(ErrorKind::Usage,
                "--raw makes one request; qpcseal-attest, which carries many, takes them as they are");
  if (several && (devices.empty() || options.hosts.empty()))
    throw Error(ErrorKind::Usage, "requests for several cards need --host and --device: where each is to go",
                "for one card without a place, -o names a file");
  const auto stops = release::card_addresses(options.hosts, several ? devices : std::vector<unsigned>{0});
  BeforePin before;
  if (!several) before.outputs = {{options.output, options.existing()}};
  site::Appliance appliance(context.environment(before));
  const keys::Mek mek = appliance.find_mek(options.mek);
  if (several) return many(appliance, mek, options, stops);
  release::ChallengeOptions wanted;
  if (!stops.empty()) wanted.host = stops.front().host;
  if (!devices.empty()) wanted.device = devices.front();
  return one(appliance, mek, options, std::move(wanted));
}

}  // namespace

void add_attest_request(CLI::App& parent, Context& context) {
  CLI::App* command =
      parent.add_subcommand("request", "Make challenges for cards; the courier takes them to their hosts");
  auto options = std::make_shared<AttestRequestOptions>();
  command->add_option("--mek", options->mek, "The key that is to be released")->required();
  command->add_option("--ueid", options->ueid, "Only this card may answer (hex)");
  command->add_option(
      "--host", options->hosts,
      "Host of the card, recorded in the log and in config.json. Several: the same device numbers on each");
  command->add_option("--device", options->device,
                      "Number of the card on its host, recorded likewise; 0-3 or 0,2 for several");
  command->add_option("--port", options->port, "Port of the hosts' session service (default 62473)")
      ->check(CLI::Range(1, 65535));
  command
      ->add_option("-o,--output", options->output,
                   "File for the request; for several cards a folder, which gets HOST-N.request for each and "
                   "`batch` for qpcseal-attest --batch")
      ->required();
  command->add_flag(
      "--raw", options->raw,
      "The nonce alone, 32 bytes, as the vendor's client takes a request: for a scheme external:NAME");
  command->add_flag("--force", options->force, "Replace existing files");
  add_output_options(*command, context);
  add_token_options(*command, context);
  command->callback([&context, options] {
    context.command = [&context, options] { return run_attest_request(context, *options); };
  });
}

}  // namespace qpcseal::cli
