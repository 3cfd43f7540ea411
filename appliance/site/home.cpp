// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/home.h"

#include <pwd.h>
#include <sys/stat.h>
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
#include "base/text.h"
#include "encoding/toml.h"

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

std::vector<std::string> take_strings(toml::table& table, const char* key) {
  std::vector<std::string> out;
  const toml::array* list = table[key].as_array();
  if (list == nullptr) throw Error(ErrorKind::Malformed, std::string("'") + key + "' is not a list");
  for (const toml::node& item : *list) {
    const auto value = item.value_exact<std::string>();
    if (!value || !value->starts_with('/'))
      throw Error(ErrorKind::Malformed, std::string("'") + key + "' is a list of absolute paths");
    out.push_back(*value);
  }
  table.erase(key);
  return out;
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
  if (table.contains("module_files")) site.module_files = take_strings(table, "module_files");
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

std::optional<Home> find_home() {
  try {
    Home home = locate_home();
    if (std::filesystem::exists(home.site())) return home;
  } catch (const Error&) {  // NOLINT(bugprone-empty-catch): none can be named
  }
  return std::nullopt;
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

namespace {

// What root makes here, the home's user could not change: nothing is done.
void refuse_root_elsewhere(const Home& home) {
  struct stat status{};
  if (geteuid() != 0 || stat(home.root.c_str(), &status) != 0 || status.st_uid == 0) return;
  const passwd* owner = getpwuid(status.st_uid);
  const std::string name = owner != nullptr ? owner->pw_name : "#" + std::to_string(status.st_uid);
  throw Error(
      ErrorKind::Denied,
      home.root.string() + " belongs to user " + name + ", and this process is root's: nothing was done",
      "sudo -u " + shell_word(name) + " env QPCSEAL_HOME=" + shell_word(home.root.string()) + " qpcseal ...")
      .with_code("wrong-user");
}

}  // namespace

void check_ownership(const Home& home) {
  refuse_root_elsewhere(home);
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
  toml::table table = encoding::parse_toml(read_text_file(path, kMaxSiteSize), path.string());
  return with_context(path.string(), [&] {
    Site site = site_from(std::move(table));
    if (site.pin_source.starts_with(kFilePrefix))
      site.pin_source = std::string(kFilePrefix) +
                        (path.parent_path() / site.pin_source.substr(kFilePrefix.size())).string();
    return site;
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
  if (module_files.empty()) return out;
  std::string list;
  for (const std::string& file : module_files) list += (list.empty() ? "" : ", ") + quoted(file);
  line("module_files", "[" + list + "]");
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
    if (!keys::is_desired(name) && name != audit::kModuleNetwork && name != audit::kUnconfined)
      throw Error(ErrorKind::Usage, "--accept " + name + ": no such attribute; 'qpcseal doctor' lists them",
                  "beside attributes: module-network, unconfined");
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
