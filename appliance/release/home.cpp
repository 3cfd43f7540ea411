#include "appliance/release/home.h"

#include <pwd.h>
#include <unistd.h>

#include <toml++/toml.h>
#include <cstdlib>

#include "appliance/audit/entry.h"
#include "appliance/audit/store.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::release {

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

std::vector<std::string> take_strings(toml::table& table, const char* key) {
  const toml::array* array = table[key].as_array();
  if (array == nullptr)
    throw Error(ErrorKind::Malformed, std::string("'") + key + "' is missing or not a list");
  std::vector<std::string> out;
  for (const auto& item : *array) {
    auto value = item.value_exact<std::string>();
    if (!value)
      throw Error(ErrorKind::Malformed, std::string("'") + key + "' holds something that is not a string");
    out.push_back(*value);
  }
  table.erase(key);
  return out;
}

Site site_from(toml::table table) {
  Site site;
  site.module = take_string(table, "module");
  site.module_sha256 = take_string(table, "module_sha256");
  site.module_arguments = take_string(table, "module_arguments");
  site.token_label = take_string(table, "token_label");
  site.token_serial = take_string(table, "token_serial");
  site.embedded = take_bool(table, "embedded");
  site.anchor = take_bool(table, "anchor");
  site.pin_source = take_string(table, "pin_source");
  site.accept = take_strings(table, "accept");
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

bool is_demo_home() noexcept {
  try {
    std::string first;
    static_cast<void>(audit::Store::open_to_read(locate_home().log()).each_line([&](std::string_view line) {
      first = line;
      return false;
    }));
    return audit::bool_member(audit::parse_entry(first).data, "insecure_demo");
  } catch (const std::exception&) {
    return false;
  }
}

Site Site::read(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path))
    throw Error(ErrorKind::Io, "no appliance at " + path.parent_path().string(),
                "run 'qpcseal init', or set QPCSEAL_HOME to the home of one");
  const Bytes bytes = read_file(path, kMaxSiteSize);
  return with_context(path.string(), [&] {
    try {
      return site_from(toml::parse(text_of(bytes)));
    } catch (const toml::parse_error& error) {
      throw Error(ErrorKind::Malformed, "line " + std::to_string(error.source().begin.line) + ": " +
                                            std::string(error.description()));
    }
  });
}

std::string Site::text() const {
  std::string out = "# Facts of this machine. What officers review is in policy.toml.\n";
  const auto line = [&](const char* key, const std::string& value) {
    out += std::string(key) + " = " + value + "\n";
  };
  line("module", quoted(module));
  line("module_sha256", quoted(module_sha256));
  line("module_arguments", quoted(module_arguments));
  line("token_label", quoted(token_label));
  line("token_serial", quoted(token_serial));
  line("embedded", embedded ? "true" : "false");
  line("anchor", anchor ? "true" : "false");
  line("pin_source", quoted(pin_source));
  std::string list;
  for (const auto& name : accept) list += (list.empty() ? "" : ", ") + quoted(name);
  line("accept", "[" + list + "]");
  return out;
}

}  // namespace qpcseal::release
