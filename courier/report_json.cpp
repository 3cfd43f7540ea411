// SPDX-License-Identifier: Apache-2.0
#include "courier/report_json.h"

#include "attest/scheme.h"
#include "base/digest.h"

namespace qpcseal::courier {
namespace {

using Json = nlohmann::ordered_json;

Json measurements_json(const std::vector<attest::Measurement>& list) {
  Json out = Json::array();
  for (const attest::Measurement& m : list) {
    Json each = {{"name", m.name}, {"version", m.version}, {"digest", to_hex(m.digest)}};
    if (m.svn) each["svn"] = *m.svn;
    out.push_back(std::move(each));
  }
  return out;
}

Json claims_json(const attest::Claims& claims) {
  Json out = {{"aud", to_hex(claims.aud)}, {"nonce", to_hex(claims.nonce)}, {"ueid", to_hex(claims.ueid)}};
  if (claims.oemid) out["oemid"] = *claims.oemid;
  if (claims.hwmodel) out["hwmodel"] = to_hex(*claims.hwmodel);
  if (claims.hwversion) out["hwversion"] = claims.hwversion->text;
  if (claims.oemboot) out["oemboot"] = *claims.oemboot;
  out["dbgstat"] = claims.dbgstat;
  if (claims.lifecycle) out["lifecycle"] = attest::lifecycle_name(*claims.lifecycle);
  if (!claims.bootseed.empty()) out["bootseed"] = to_hex(claims.bootseed);
  if (claims.session_key) {
    out["session_key_type"] = attest::to_string(claims.session_key->type);
    out["session_key"] = to_hex(claims.session_key->public_key);
  }
  out["measurements"] = measurements_json(claims.measurements);
  out["submodules"] = claims.submods.size();
  return out;
}

Json findings_json(const Findings& findings) {
  Json out = Json::array();
  for (const Finding& finding : findings)
    out.push_back({{"id", finding.id}, {"claim", finding.claim}, {"observed", finding.observed}});
  return out;
}

}  // namespace

Json report_json(const Errand& errand, ByteView report) {
  Json out = {{"host", to_string(errand.host)},   {"device", errand.device},
              {"report", errand.report.string()}, {"size", report.size()},
              {"sha256", sha256_hex(report)},     {"verified", false}};
  auto scheme = attest::detect_scheme(report);
  if (!scheme) scheme = attest::make_eat_card_scheme();  // it says what is amiss
  const attest::Evidence evidence = scheme->inspect(report);
  if (evidence.claims) {
    out["unverified_claims"] = claims_json(*evidence.claims);
  } else {
    out["findings"] = findings_json(evidence.findings);
  }
  return out;
}

}  // namespace qpcseal::courier
