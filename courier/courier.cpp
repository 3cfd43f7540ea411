// SPDX-License-Identifier: Apache-2.0
#include "courier/courier.h"

#include <exception>
#include <map>
#include <set>

#include "attest/request.h"
#include "base/error.h"
#include "base/file.h"
#include "base/file_name.h"
#include "base/print.h"
#include "base/text.h"
#include "courier/report_json.h"

namespace qpcseal::courier {
namespace {

constexpr std::size_t kMaxRequest = 4096;  // bytes

struct Prepared {
  Errand errand;
  Bytes request;
};

void refuse_existing(const std::filesystem::path& path) {
  if (!is_name_taken(path)) return;
  throw Error(ErrorKind::Io, path.string() + ": exists already", "--force overwrites it");
}

std::vector<Prepared> prepare(const std::vector<Errand>& errands, bool force) {
  std::vector<Prepared> out;
  std::set<std::filesystem::path> reports;
  for (const Errand& errand : errands) {
    if (!reports.insert(errand.report.lexically_normal()).second)
      throw Error(ErrorKind::Usage, errand.report.string() + ": two reports would have this name");
    if (!force) refuse_existing(errand.report);
    out.push_back({errand, read_request(errand.request)});
  }
  return out;
}

nlohmann::ordered_json carry(const Prepared& job, Client& client, const Options& options) {
  const Bytes report = client.report(job.errand.device, job.request);
  write_file(job.errand.report, report, options.force ? Existing::Replace : Existing::Refuse);
  if (!options.print_json)
    print("card " + std::to_string(job.errand.device) + ": report in " +
          printable(job.errand.report.string()) + "\n");
  return report_json(job.errand, report);
}

}  // namespace

Bytes read_request(const std::filesystem::path& path) {
  const char* const hint =
      "make one on the appliance: qpcseal attest request --mek NAME -o FILE; a fixed text, such as "
      "\"anycontent\", "
      "carries no nonce, so the report for it could be an old one";
  Bytes request;
  try {
    request = read_file(path, kMaxRequest);
    static_cast<void>(attest::parse_request(request));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Io) throw Error(ErrorKind::Io, error.what(), hint);
    if (error.kind() != ErrorKind::Malformed) throw;
    throw Error(
        ErrorKind::Malformed,
        path.string() + ": not an attestation request (" + error.what() +
            "); a request carries a nonce made by `qpcseal attest request`, and only that proves that the "
            "report is fresh",
        hint);
  }
  return request;
}

void run_errands(const std::vector<Errand>& errands, const Options& options) {
  const std::vector<Prepared> jobs = prepare(errands, options.force);
  std::map<std::string, Client> clients;
  nlohmann::ordered_json reports = nlohmann::ordered_json::array();
  std::exception_ptr first;
  for (const Prepared& job : jobs) {
    Client& client =
        clients.try_emplace(to_string(job.errand.host), job.errand.host, options.timeout).first->second;
    try {
      reports.push_back(carry(job, client, options));
    } catch (const Error& error) {
      if (first) print_failure("qpcseal-attest", error.what());
      if (!first) first = std::current_exception();
    }
  }
  if (options.print_json) print(json_text(reports));
  if (first) std::rethrow_exception(first);
}

}  // namespace qpcseal::courier
