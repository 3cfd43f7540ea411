// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/home.h"

#include <pwd.h>
#include <unistd.h>

#include <toml++/toml.h>
#include <algorithm>
#include <cstdlib>

#include "appliance/audit/entry.h"
#include "appliance/audit/store.h"
#include "appliance/keys/mek.h"
#include "appliance/site/pin.h"
#include "base/error.h"
#include "base/file.h"
#include "base/ownership.h"

namespace qpcseal::site {

namespace {

constexpr std::size_t kMaxSiteSize = 65536;

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

Home absolute_home(std::filesystem::path path, const char* origin) {
  if (!path.is_absolute())
    throw Error(ErrorKind::Usage,
                std::string(origin) + " must be an absolute path, not '" + path.string() + "'");
  return Home{std::move(path)};
}

std::string take_string(toml::table& table, const char* key) {
  auto value = table[key].value_exact<std::string>();
  if (!value) throw Error(ErrorKind::Malformed, std::string("'") + key + "' is missing or not a string");
  table.erase(key);
  return *value;
}

bool take_bool(toml::table& table, const char* key) {
  auto value = table[key].value_exact<bool>();
  if (!value) throw Error(ErrorKind::Malformed, std::string("'") + key + "' is missing or not true or false");
  table.erase(key);
  return *value;
}

// These were in the file once, and anybody who could write it could change them.
void refuse_facts(const toml::table& table) {
  for (const char* key : {"module_sha256", "module_arguments", "anchor", "accept"})
    if (table.contains(key))
      throw Error(
          ErrorKind::Malformed,
          std::string("'") + key + "' is a fact of the site, which the log has and no file can change",
          "take it out of the file; 'qpcseal site show' shows what is in force, 'qpcseal site change' "
          "changes it");
}

Site site_from(toml::table table) {
  refuse_facts(table);
  Site site;
  site.module = take_string(table, "module");
  site.token_label = take_string(table, "token_label");
  site.token_serial = take_string(table, "token_serial");
  site.embedded = take_bool(table, "embedded");
  site.pin_source = take_string(table, "pin_source");
  if (!table.empty())
    throw Error(ErrorKind::Malformed, "unknown key '" + std::string(table.begin()->first.str()) + "'");
  return site;
}

// A TOML basic string: every character that could end it or be misread is escaped.
std::string quoted(const std::string& text) {
  toml::array holder{text};
  std::ostringstream out;
  out << toml::json_formatter{holder, toml::format_flags::none};
  std::string json = out.str();
  return json.substr(json.find('"'), json.rfind('"') - json.find('"') + 1);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

constexpr const char* kHomeWord = "{home}";

}  // namespace

Home locate_home() {
  if (const char* home = environment("QPCSEAL_HOME")) return absolute_home(home, "QPCSEAL_HOME");
  const passwd* user = getpwuid(geteuid());
  if (user != nullptr && std::string(user->pw_name) == "qpcseal") return Home{"/var/lib/qpcseal"};
  if (const char* data = environment("XDG_DATA_HOME"))
    return absolute_home(std::filesystem::path(data) / "qpcseal", "XDG_DATA_HOME");
  if (const char* home = environment("HOME"))
    return absolute_home(std::filesystem::path(home) / ".local/share/qpcseal", "HOME");
  throw Error(ErrorKind::Usage, "no home folder", "set QPCSEAL_HOME to an absolute path");
}

// Every command asks, so that no more than the first entry is read of a log that may be long.
bool is_demo_home() noexcept {
  try {
    std::string first;
    audit::Store::open_to_read(locate_home().log()).each_line([&](std::string_view line) {
      first = line;
      return false;
    });
    return encoding::bool_member(audit::parse_entry(first).data, "insecure_demo");
  } catch (const std::exception&) {
    return false;
  }
}

void check_ownership(const Home& home) {
  Ownership owners;
  owners.check(home.root);
  for (const auto& path : {home.site(), home.policy(), home.officers(), home.collateral(), home.approvals(),
                           home.reports(), home.witness(), home.pending()})
    owners.check(path);
  for (const auto& dir : {home.log(), home.trust(), home.tokens(), home.token_copies()})
    owners.check_tree(dir);
  if (!owners.good())
    throw Error(ErrorKind::Denied, "others could change what decides here: " + owners.faults(),
                owners.mending());
}

Site Site::read(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path) && std::filesystem::exists(Home{path.parent_path()}.log()))
    throw Error(
        ErrorKind::Io, path.string() + " is gone, which says where module, token and PIN are",
        "'qpcseal home backup -o FILE', then 'qpcseal home restore FILE --force', with --module, --token "
        "and --pin-source where they are not the embedded token's, makes it anew");
  if (!std::filesystem::exists(path))
    throw Error(ErrorKind::Io, "no appliance at " + path.parent_path().string(),
                "run 'qpcseal init', or set QPCSEAL_HOME to the home of one");
  const Bytes bytes = read_file(path, kMaxSiteSize);
  return with_context(path.string(), [&] {
    try {
      Site site = site_from(toml::parse(text_view(bytes)));
      if (site.pin_source.starts_with(kFilePrefix))
        site.pin_source = std::string(kFilePrefix) +
                          (path.parent_path() / site.pin_source.substr(kFilePrefix.size())).string();
      return site;
    } catch (const toml::parse_error& error) {
      throw Error(ErrorKind::Malformed, "line " + std::to_string(error.source().begin.line) + ": " +
                                            std::string(error.description()));
    }
  });
}

std::string Site::text(const Home& home) const {
  std::string out =
      "# Where this machine has module and token. What bears on trust is in the log: 'qpcseal site show'.\n";
  const auto line = [&](const char* key, const std::string& value) {
    out += std::string(key) + " = " + value + "\n";
  };
  const std::string inside = std::string(kFilePrefix) + home.root.string() + "/";
  line("module", quoted(module));
  line("token_label", quoted(token_label));
  line("token_serial", quoted(token_serial));
  line("embedded", embedded ? "true" : "false");
  line("pin_source",
       quoted(pin_source.starts_with(inside) ? std::string(kFilePrefix) + pin_source.substr(inside.size())
                                             : pin_source));
  return out;
}

Sha256Digest module_digest(const audit::SiteFacts& facts) {
  const Bytes bytes = from_hex(facts.module_sha256);
  Sha256Digest digest{};
  if (bytes.size() != digest.size())
    throw Error(ErrorKind::Malformed, "the module's digest is not a SHA-256");
  std::ranges::copy(bytes, digest.begin());
  return digest;
}

void check_facts(const audit::SiteFacts& facts) {
  for (const std::string& name : facts.accept)
    if (!keys::is_desired(name))
      throw Error(ErrorKind::Usage, "--accept " + name + ": no such attribute; 'qpcseal doctor' lists them");
  if (facts.clock_days < 1 || facts.clock_days > audit::kMaxClockDays)
    throw Error(ErrorKind::Usage, "--clock-days: 1 to " + std::to_string(audit::kMaxClockDays) + ", not " +
                                      std::to_string(facts.clock_days));
}

std::string with_home(const std::string& arguments, const Home& home) {
  return replaced(arguments, kHomeWord, home.root.string());
}

std::string without_home(const std::string& arguments, const Home& home) {
  return replaced(arguments, home.root.string() + "/", std::string(kHomeWord) + "/");
}

}  // namespace qpcseal::site
