// SPDX-License-Identifier: Apache-2.0
// config.json of a card: read and written.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "device/card/card_store.h"
#include "device/card/config_json.h"

namespace qpcseal::device {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "qpcseal/simulated-card/1";
constexpr std::size_t kMaxConfig = 65536;

Json to_json(const attest::Measurement& m) {
  Json out = {{"name", m.name},
              {"version", m.version},
              {"algorithm", m.algorithm == attest::DigestAlgorithm::Sha256 ? "sha-256" : "sha-384"},
              {"digest", to_hex(m.digest)}};
  if (m.svn) out["svn"] = *m.svn;
  return out;
}

attest::Measurement measurement_from(const Json& json) {
  attest::Measurement out;
  out.name = json.at("name").get<std::string>();
  out.version = json.at("version").get<std::string>();
  out.algorithm = json.at("algorithm").get<std::string>() == "sha-256" ? attest::DigestAlgorithm::Sha256
                                                                       : attest::DigestAlgorithm::Sha384;
  out.digest = from_hex(json.at("digest").get<std::string>());
  if (json.contains("svn")) out.svn = json.at("svn").get<std::uint64_t>();
  return out;
}

CardConfig config_from(const Json& json) {
  if (json.at("format").get<std::string>() != kFormat) throw Error(ErrorKind::Malformed, "unknown format");
  CardConfig out;
  out.ueid = from_hex(json.at("ueid").get<std::string>());
  out.oemid = json.at("oemid").get<std::uint64_t>();
  out.hwmodel = from_hex(json.at("hwmodel").get<std::string>());
  out.hwversion = json.at("hwversion").get<std::string>();
  out.dbgstat = json.at("dbgstat").get<unsigned>();
  out.lifecycle = lifecycle_from(json.at("lifecycle").get<std::string>());
  const auto type = attest::session_key_type(json.at("session_key").get<std::string>());
  if (!type) throw Error(ErrorKind::Malformed, "unknown session key type");
  out.session_key = *type;
  out.minimum_model_version = json.at("minimum_model_version").get<std::uint64_t>();
  for (const Json& each : json.at("measurements")) out.measurements.push_back(measurement_from(each));
  return out;
}

}  // namespace

unsigned lifecycle_from(std::string_view name) {
  for (unsigned each = 0; each < 4; ++each) {
    if (attest::lifecycle_name(each) == name) return each;
  }
  throw Error(ErrorKind::Malformed, "unknown lifecycle '" + std::string(name) + "'");
}

Json config_json(const CardConfig& config) {
  Json out = {{"format", kFormat},
              {"ueid", to_hex(config.ueid)},
              {"oemid", config.oemid},
              {"hwmodel", to_hex(config.hwmodel)},
              {"hwversion", config.hwversion},
              {"dbgstat", config.dbgstat},
              {"lifecycle", attest::lifecycle_name(config.lifecycle)},
              {"session_key", attest::to_string(config.session_key)},
              {"minimum_model_version", config.minimum_model_version},
              {"measurements", Json::array()}};
  for (const attest::Measurement& each : config.measurements) out["measurements"].push_back(to_json(each));
  return out;
}

CardConfig read_config(const std::filesystem::path& dir, unsigned number) {
  const std::filesystem::path path = card_folder(dir, number) / "config.json";
  const Bytes text = read_file(path, kMaxConfig);
  return with_context(path.string(), [&] {
    try {
      return config_from(Json::parse(text));
    } catch (const Json::exception& error) {
      throw Error(ErrorKind::Malformed, error.what());
    }
  });
}

void write_config(const std::filesystem::path& dir, unsigned number, const CardConfig& config,
                  Existing existing) {
  const std::string text = config_json(config).dump(2) + "\n";
  write_file(card_folder(dir, number) / "config.json", view(text), existing, 0600);
}

}  // namespace qpcseal::device
