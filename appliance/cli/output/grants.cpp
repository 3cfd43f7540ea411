// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/grants.h"

namespace qpcseal::cli {

namespace {

std::string text_of(const std::vector<release::Grant>& grants) {
  std::string out;
  for (const release::Grant& grant : grants) {
    out += "released to card " + to_hex(grant.claims.ueid) + " (class " + printable(grant.device_class) +
           "), suite " + grant.suite_name() + ", log entry " + std::to_string(grant.entry) + "\n";
    if (grant.exposed.is_null() && grant.wrapped.suite == keys::Suite::OaepSha1)
      out += "note: this suite binds no context to the wrapped key; the policy allows it\n";
  }
  return out;
}

}  // namespace

nlohmann::ordered_json as_json(const std::vector<release::Grant>& grants) {
  auto out = nlohmann::ordered_json::array();
  for (const release::Grant& grant : grants)
    out.push_back({{"ueid", to_hex(grant.claims.ueid)},
                   {"device_class", grant.device_class},
                   {"suite", grant.suite_name()},
                   {"report_sha256", to_hex(grant.report_digest)},
                   {"nonce", to_hex(grant.claims.nonce)},
                   {"receipt", {{"entry", grant.entry}}}});
  return out;
}

void add_grants(Report& report, const std::vector<release::Grant>& grants) {
  report.json["released"] = as_json(grants);
  report.text += text_of(grants);
}

}  // namespace qpcseal::cli
