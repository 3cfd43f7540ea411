#include "attest/courier/report_json.h"

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
  return {{"aud", to_hex(claims.aud)},
          {"nonce", to_hex(claims.nonce)},
          {"ueid", to_hex(claims.ueid)},
          {"oemid", claims.oemid},
          {"hwmodel", to_hex(claims.hwmodel)},
          {"hwversion", claims.hwversion.text},
          {"oemboot", claims.oemboot},
          {"dbgstat", claims.dbgstat},
          {"lifecycle", attest::lifecycle_name(claims.lifecycle)},
          {"bootseed", to_hex(claims.bootseed)},
          {"session_key_type", attest::name_of(claims.session_key.type)},
          {"session_key", to_hex(claims.session_key.public_key)},
          {"measurements", measurements_json(claims.measurements)},
          {"submodules", claims.submods.size()}};
}

Json findings_json(const Findings& findings) {
  Json out = Json::array();
  for (const Finding& finding : findings)
    out.push_back({{"id", finding.id}, {"claim", finding.claim}, {"observed", finding.observed}});
  return out;
}

}  // namespace

Json report_json(const Errand& errand, ByteView report) {
  Json out = {{"host", text_of(errand.host)},     {"device", errand.device},
              {"report", errand.report.string()}, {"size", report.size()},
              {"sha256", to_hex(sha256(report))}, {"verified", false}};
  const attest::Evidence evidence = attest::make_eat_card_scheme()->inspect(report);
  if (evidence.claims) {
    out["unverified_claims"] = claims_json(*evidence.claims);
  } else {
    out["findings"] = findings_json(evidence.findings);
  }
  return out;
}

}  // namespace qpcseal::courier
