// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "base/nearest.h"
#include "encoding/file_kind.h"
#include "encoding/toml.h"
#include "policy/parse_mek.h"
#include "policy/parse_rules.h"
#include "policy/policy.h"

namespace qpcseal::policy {
namespace {

constexpr std::int64_t kMaxLifetime = 365LL * 86400;

void check_sizes(encoding::TomlReader& reader, std::string_view key, const std::vector<Bytes>& list,
                 std::size_t low, std::size_t high) {
  for (const Bytes& bytes : list) {
    if (bytes.size() < low || bytes.size() > high) {
      reader.refuse(reader.line_of_key(key), "'" + std::string(key) + "' has a value of " +
                                                 std::to_string(bytes.size()) + " bytes, not " +
                                                 std::to_string(low) + " to " + std::to_string(high));
    }
  }
}

// "90m", "24h", "7d" in seconds.
std::int64_t read_lifetime(encoding::TomlReader& reader, std::string_view key) {
  const std::string text = reader.text(key);
  const char unit = text.back();
  const std::int64_t scale = unit == 'm' ? 60 : unit == 'h' ? 3600 : unit == 'd' ? 86400 : 0;
  const std::string digits = text.substr(0, text.size() - 1);
  const bool numeric = !digits.empty() && digits.size() <= 6 && digits.front() != '0' &&
                       std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (scale == 0 || !numeric)
    reader.refuse(reader.line_of_key(key), "'" + std::string(key) + "' must look like \"24h\"");
  const std::int64_t seconds = std::stoll(digits) * scale;
  if (seconds > kMaxLifetime)
    reader.refuse(reader.line_of_key(key), "'" + std::string(key) + "' is more than a year");
  return seconds;
}

// "none", written out instead of a value, for a claim that the scheme's evidence does not have.
bool is_none(encoding::TomlReader& reader, std::string_view key) {
  const toml::value<std::string>* text = reader.take(key).as_string();
  return text != nullptr && text->get() == "none";
}

template <typename T, typename Read>
Rule<std::optional<T>> unless_none(encoding::TomlReader& reader, std::string_view key, Read&& read) {
  Rule<std::optional<T>> out{std::nullopt, reader.line_of_key(key)};
  if (!is_none(reader, key)) out.value = read();
  return out;
}

MeasurementRule read_measurement(encoding::TomlReader& reader) {
  MeasurementRule out;
  out.line = reader.line();
  out.name = reader.text("name");
  if (reader.has("references") && !reader.has("digests")) {
    out.references = reader.texts("references");
  } else {
    out.digests = reader.hexes("digests");  // with both of them, `references` is a key that nobody wants
  }
  for (const Bytes& digest : out.digests) {
    if (digest.size() != 32 && digest.size() != 48) {
      reader.refuse(reader.line_of_key("digests"), "a digest has neither 32 nor 48 bytes");
    }
  }
  out.min_svn = static_cast<std::uint64_t>(reader.integer("min_svn", 0, kHuge));
  reader.finish();
  return out;
}

template <typename T>
void refuse_same_names(const encoding::TomlReader& reader, const std::vector<T>& list) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (list[i].name == list[j].name) reader.refuse(list[i].line, "'" + list[i].name + "' stands twice");
    }
  }
}

std::vector<MeasurementRule> read_measurements(encoding::TomlReader& reader) {
  std::vector<MeasurementRule> out;
  for (encoding::TomlReader& inner : reader.tables("measurement", "measurement"))
    out.push_back(read_measurement(inner));
  refuse_same_names(reader, out);
  return out;
}

// Either `submods = "none"` or [[device.submod]] tables, and never neither.
Rule<std::vector<SubmodRule>> read_submods(encoding::TomlReader& reader) {
  if (reader.has("submods") || !reader.has("submod")) {
    static_cast<void>(known_word(reader, "submods", {"none"}));
    if (reader.has("submod"))
      reader.refuse(reader.line_of_key("submod"), "submods are \"none\", yet here is one");
    return {{}, reader.line_of_key("submods")};
  }
  Rule<std::vector<SubmodRule>> out{{}, reader.line_of_key("submod")};
  for (encoding::TomlReader& inner : reader.tables("submod", "submod")) {
    SubmodRule next{inner.text("name"), read_measurements(inner), inner.line()};
    inner.finish();
    out.value.push_back(std::move(next));
  }
  refuse_same_names(reader, out.value);
  return out;
}

Rule<std::optional<std::vector<Bytes>>> read_ueids(encoding::TomlReader& reader) {
  const toml::node& node = reader.take("ueids");
  Rule<std::optional<std::vector<Bytes>>> out{std::nullopt, encoding::TomlReader::line_number(node)};
  if (node.is_string()) {
    static_cast<void>(known_word(reader, "ueids", {"any"}));
    return out;
  }
  out.value = reader.hexes("ueids");
  check_sizes(reader, "ueids", *out.value, 7, 33);
  return out;
}

// `oemboot` alone need not be written: that a card booted only what its maker signed is asked of every class.
void read_hardware(encoding::TomlReader& reader, DeviceClass& out) {
  out.oemid = unless_none<std::uint64_t>(
      reader, "oemid", [&] { return static_cast<std::uint64_t>(reader.integer("oemid", 0, kHuge)); });
  out.hwmodel = unless_none<Bytes>(reader, "hwmodel", [&] { return reader.hex("hwmodel"); });
  if (out.hwmodel.value) check_sizes(reader, "hwmodel", {*out.hwmodel.value}, 1, 32);
  out.hwversion = unless_none<std::string>(reader, "hwversion", [&] { return reader.text("hwversion"); });
  out.lifecycle = unless_none<std::vector<std::string>>(reader, "lifecycle", [&] {
    return known_words(reader, "lifecycle", {"test", "development", "secured", "rma"});
  });
  out.oemboot = {true, out.line};
  if (reader.has("oemboot"))
    out.oemboot = rule(reader, "oemboot", known_word(reader, "oemboot", {"required", "none"}) == "required");
}

void check_scheme(encoding::TomlReader& reader, const Rule<std::string>& scheme) {
  const std::string_view name = scheme.value;
  if (name == kExternalScheme)
    reader.refuse(scheme.line, "'scheme' is \"external:NAME\", with the name of a verifier");
  if (name.starts_with(kExternalScheme) || std::ranges::find(kSchemes, name) != kSchemes.end()) return;
  reader.refuse(scheme.line, "'scheme' is none of eat-card, aws-nitro, external:NAME");
}

DeviceClass read_device(encoding::TomlReader& reader) {
  DeviceClass out;
  out.line = reader.line();
  out.name = reader.text("name");
  out.scheme = rule(reader, "scheme", reader.text("scheme"));
  check_scheme(reader, out.scheme);
  out.roots = rule(reader, "roots", reader.hexes("roots"));
  check_sizes(reader, "roots", out.roots.value, 32, 32);
  read_hardware(reader, out);
  out.min_dbgstat = rule(reader, "min_dbgstat", static_cast<unsigned>(reader.integer("min_dbgstat", 0, 4)));
  out.session_keys =
      rule(reader, "session_keys", known_words(reader, "session_keys", {"p256", "p384", "rsa"}));
  out.challenge_lifetime = rule(reader, "challenge_lifetime", read_lifetime(reader, "challenge_lifetime"));
  out.ueids = read_ueids(reader);
  out.revoked_ueids =
      rule(reader, "revoked_ueids", reader.hexes("revoked_ueids", encoding::TomlReader::Empty::Allowed));
  check_sizes(reader, "revoked_ueids", out.revoked_ueids.value, 7, 33);
  out.max_releases = rule(reader, "max_releases_per_card",
                          static_cast<std::uint64_t>(reader.integer("max_releases_per_card", 0, kHuge)));
  out.crl_required = rule(reader, "crl", known_word(reader, "crl", {"required", "none"}) == "required");
  out.measurements = read_measurements(reader);
  out.submods = read_submods(reader);
  reader.finish();
  return out;
}

void read_approvals(encoding::TomlReader& reader, Policy& policy) {
  for (const std::string& name : reader.keys()) {
    const auto known = operations();
    if (std::find(known.begin(), known.end(), name) == known.end())
      reader.refuse(reader.line_of_key(name), "unknown operation '" + name + "'",
                    did_you_mean(name, {known.begin(), known.end()}));
    policy.approvals[name] = rule(reader, name, static_cast<int>(reader.integer(name, 0, 100)));
  }
  reader.finish();
}

// Two rules that name the same pattern can never both be meant.
void refuse_same_patterns(const encoding::TomlReader& reader, const std::vector<MekRule>& meks) {
  std::set<std::string> seen;
  for (const MekRule& mek : meks) {
    for (const std::string& pattern : mek.labels.value) {
      if (!seen.insert(pattern).second)
        reader.refuse(mek.labels.line, "the label pattern '" + pattern + "' stands twice");
    }
  }
}

toml::table parse_toml(std::string_view text, const std::string& file) {
  if (text.size() > kMaxPolicySize) throw Error(ErrorKind::Malformed, file + ": more than 1 MiB");
  return encoding::parse_toml(text, file);
}

// As the names of logs (C2SP signed notes): printable ASCII without blanks and '+'.
std::string read_appliance(encoding::TomlReader& reader) {
  constexpr std::size_t kMaxName = 128;
  std::string out = reader.text("appliance");
  const bool good = out.size() <= kMaxName &&
                    std::ranges::all_of(out, [](char c) { return c > ' ' && c < '\x7F' && c != '+'; });
  if (!good) reader.refuse(reader.line_of_key("appliance"), "'appliance' is no name of an appliance");
  return out;
}

Policy read_policy(std::string_view toml, const std::string& file) {
  const toml::table table = parse_toml(toml, file);
  encoding::TomlReader reader(table, "policy", file);
  Policy out;
  out.file = file;
  out.serial = rule(reader, "serial", static_cast<std::uint64_t>(reader.integer("serial", 1, kHuge)));
  out.appliance = rule(reader, "appliance", read_appliance(reader));
  const std::string expires = reader.text("expires");
  out.expires.line = reader.line_of_key("expires");
  try {
    out.expires.value = parse_time(expires);
  } catch (const Error& error) {
    reader.refuse(out.expires.line, std::string("'expires': ") + error.what());
  }
  out.collateral_required =
      rule(reader, "collateral", known_word(reader, "collateral", {"required", "none"}) == "required");
  for (encoding::TomlReader& inner : reader.tables("device", "device"))
    out.devices.push_back(read_device(inner));
  refuse_same_names(reader, out.devices);
  for (encoding::TomlReader& inner : reader.tables("mek", "mek")) out.meks.push_back(read_mek(inner, out));
  refuse_same_patterns(reader, out.meks);
  encoding::TomlReader approvals = reader.table("approvals", "approvals");
  read_approvals(approvals, out);
  reader.finish();
  return out;
}

}  // namespace

Policy parse_policy(std::string_view toml, const std::string& file) {
  return encoding::as_kind(view(toml), "a policy", [&] { return read_policy(toml, file); });
}

}  // namespace qpcseal::policy
