// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/claims.h"

#include "appliance/cli/output/report.h"

namespace qpcseal::cli {

namespace {

using OrderedJson = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

void add(Rows& rows, const char* name, std::string value) { rows.push_back({name, std::move(value)}); }

std::string words_of(const attest::Measurement& m) {
  return printable(m.name) + (m.version.empty() ? "" : " " + printable(m.version)) +
         (m.svn ? ", SVN " + std::to_string(*m.svn) : "") + ": " + to_hex(m.digest);
}

OrderedJson as_json(const std::vector<attest::Measurement>& list) {
  OrderedJson out = OrderedJson::array();
  for (const attest::Measurement& m : list) {
    OrderedJson each{{"name", m.name}, {"version", m.version}, {"digest", to_hex(m.digest)}};
    if (m.svn) each["svn"] = *m.svn;
    out.push_back(std::move(each));
  }
  return out;
}

std::string session_key_words(const attest::Claims& claims) {
  if (!claims.session_key) return "none: " + printable(claims.session_key_fault);
  return std::string(attest::to_string(claims.session_key->type)) + " " +
         to_hex(claims.session_key->public_key);
}

}  // namespace

std::vector<std::vector<std::string>> claim_rows(const attest::Claims& claims) {
  Rows rows;
  add(rows, "ueid", to_hex(claims.ueid));
  add(rows, "nonce", to_hex(claims.nonce));
  if (!claims.aud.empty()) add(rows, "aud", to_hex(claims.aud));
  if (claims.oemid) add(rows, "oemid", std::to_string(*claims.oemid));
  if (claims.hwmodel) add(rows, "hwmodel", to_hex(*claims.hwmodel));
  if (claims.hwversion) add(rows, "hwversion", printable(claims.hwversion->text));
  if (claims.oemboot) add(rows, "oemboot", *claims.oemboot ? "true" : "false");
  add(rows, "dbgstat", std::to_string(claims.dbgstat));
  if (claims.lifecycle) add(rows, "lifecycle", attest::lifecycle_name(*claims.lifecycle));
  add(rows, "session key", session_key_words(claims));
  for (const auto& m : claims.measurements) add(rows, "measurement", words_of(m));
  for (const auto& submod : claims.submods) {
    add(rows, "submodule", printable(submod.name) + ", dbgstat " + std::to_string(submod.dbgstat));
    for (const auto& m : submod.measurements) add(rows, "  measurement", words_of(m));
  }
  return rows;
}

nlohmann::ordered_json as_json(const attest::Claims& claims) {
  OrderedJson out{
      {"ueid", to_hex(claims.ueid)}, {"nonce", to_hex(claims.nonce)}, {"aud", to_hex(claims.aud)}};
  if (claims.oemid) out["oemid"] = *claims.oemid;
  if (claims.hwmodel) out["hwmodel"] = to_hex(*claims.hwmodel);
  if (claims.hwversion) out["hwversion"] = claims.hwversion->text;
  if (claims.oemboot) out["oemboot"] = *claims.oemboot;
  out["dbgstat"] = claims.dbgstat;
  if (claims.lifecycle) out["lifecycle"] = attest::lifecycle_name(*claims.lifecycle);
  out["session_key"] = nullptr;
  if (claims.session_key) out["session_key"] = attest::to_string(claims.session_key->type);
  out["measurements"] = as_json(claims.measurements);
  out["submodules"] = OrderedJson::array();
  for (const auto& submod : claims.submods)
    out["submodules"].push_back(
        {{"name", submod.name}, {"dbgstat", submod.dbgstat}, {"measurements", as_json(submod.measurements)}});
  return out;
}

}  // namespace qpcseal::cli
