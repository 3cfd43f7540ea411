// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/site_facts.h"

#include <algorithm>

#include "base/digest.h"
#include "base/error.h"

namespace qpcseal::audit {

namespace {

encoding::Json json_of_file(const PinnedFile& file) { return {{"path", file.path}, {"sha256", file.sha256}}; }

void require_fact(bool good, const std::string& complaint) {
  if (!good) throw Error(ErrorKind::Malformed, "site: " + complaint);
}

PinnedFile parse_file(const encoding::Json& json) {
  encoding::expect_keys(json, {"path", "sha256"}, "site: a program's file");
  PinnedFile out{encoding::text_member(json, "path"),
                 encoding::hex_member(json, "sha256", sizeof(Sha256Digest))};
  require_fact(is_program_path(out.path), "'" + out.path + "' is no path of a program's file");
  return out;
}

PinnedProgram parse_program(const encoding::Json& json) {
  encoding::expect_keys(json, {"name", "program", "files"}, "site: a program");
  PinnedProgram out{encoding::text_member(json, "name"), parse_file(encoding::member(json, "program")), {}};
  require_fact(is_program_name(out.name), "'" + out.name + "' is no name of a program");
  const encoding::Json& files = encoding::member(json, "files");
  require_fact(files.is_array() && files.size() <= kMaxProgramFiles, "a program's 'files' are no short list");
  for (const encoding::Json& file : files) {
    out.files.push_back(parse_file(file));
    require_fact(out.files.size() < 2 || out.files[out.files.size() - 2].path < out.files.back().path,
                 "a program's 'files' are not in the order of their paths");
    require_fact(out.files.back().path != out.program.path, "a program that is one of its own 'files'");
  }
  return out;
}

// Facts without them look as they did before there were any.
void parse_optional(const encoding::Json& json, SiteFacts& out) {
  if (const auto programs = json.find("programs"); programs != json.end()) {
    require_fact(programs->is_array() && !programs->empty() && programs->size() <= kMaxPrograms,
                 "'programs' are no short list");
    for (const encoding::Json& program : *programs) {
      out.programs.push_back(parse_program(program));
      require_fact(
          out.programs.size() < 2 || out.programs[out.programs.size() - 2].name < out.programs.back().name,
          "'programs' are not in the order of their names");
    }
  }
  if (json.contains("swap")) {
    out.swap = encoding::bool_member(json, "swap");
    require_fact(out.swap, "'swap' stands there only as true");
  }
  if (json.contains("image")) out.image = encoding::hex_member(json, "image", kImageSize);
}

}  // namespace

const PinnedProgram* find_program(const SiteFacts& facts, std::string_view name) {
  const auto found = std::ranges::find(facts.programs, name, &PinnedProgram::name);
  return found == facts.programs.end() ? nullptr : &*found;
}

bool is_program_name(std::string_view name) {
  constexpr std::string_view kAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  return !name.empty() && name.size() <= 64 && name.find_first_not_of(kAllowed) == std::string_view::npos;
}

bool is_program_path(std::string_view path) {
  const auto below = [&](std::string_view dir) { return path.starts_with(dir); };
  const bool plain =
      std::ranges::all_of(path, [](unsigned char c) { return c > 0x20 && c != 0x7f && c != ','; });
  return path.size() > 1 && path.size() <= 255 && path.front() == '/' && path.back() != '/' && plain &&
         path.find("//") == std::string_view::npos &&
         (std::string(path) + "/").find("/../") == std::string::npos &&
         (std::string(path) + "/").find("/./") == std::string::npos && !below("/proc/") && !below("/sys/") &&
         !below("/dev/") && !below("/qpcseal/");
}

encoding::Json as_json(const PinnedProgram& program) {
  encoding::Json files = encoding::Json::array();
  for (const PinnedFile& file : program.files) files.push_back(json_of_file(file));
  return {{"name", program.name}, {"program", json_of_file(program.program)}, {"files", std::move(files)}};
}

bool SiteFacts::accepts(std::string_view name) const {
  return std::ranges::find(accept, name) != accept.end();
}

encoding::Json as_json(const SiteFacts& facts) {
  encoding::Json out{{"module_sha256", facts.module_sha256},
                     {"module_arguments", facts.module_arguments},
                     {"accept", facts.accept},
                     {"anchor", facts.anchor},
                     {"clock_days", facts.clock_days}};
  for (const PinnedProgram& program : facts.programs) out["programs"].push_back(as_json(program));
  if (facts.swap) out["swap"] = true;
  if (!facts.image.empty()) out["image"] = facts.image;
  return out;
}

SiteFacts parse_site_facts(const encoding::Json& json) {
  SiteFacts out;
  parse_optional(json, out);
  encoding::Json rest = json;
  for (const char* optional : {"programs", "swap", "image"}) rest.erase(optional);
  encoding::expect_keys(rest, {"module_sha256", "module_arguments", "accept", "anchor", "clock_days"},
                        "site");
  out.module_sha256 = encoding::hex_member(json, "module_sha256", sizeof(Sha256Digest));
  out.module_arguments = encoding::text_member(json, "module_arguments");
  const encoding::Json& accept = encoding::member(json, "accept");
  if (!accept.is_array() || !std::ranges::all_of(accept, &encoding::Json::is_string))
    throw Error(ErrorKind::Malformed, "site: 'accept' is not a list of names");
  out.accept = accept.get<std::vector<std::string>>();
  out.anchor = encoding::bool_member(json, "anchor");
  out.clock_days = encoding::uint_member(json, "clock_days");
  if (out.clock_days < 1 || out.clock_days > kMaxClockDays)
    throw Error(ErrorKind::Malformed, "site: 'clock_days' is 1 to " + std::to_string(kMaxClockDays));
  return out;
}

SiteFacts genesis_facts(const encoding::Json& genesis) {
  if (!genesis.contains("site"))
    throw Error(ErrorKind::Malformed,
                "this log was made by a version before 0.2.0, which this version does not read",
                "begin a new appliance ('qpcseal init'), or read the log with the version that made it");
  return parse_site_facts(encoding::member(genesis, "site"));
}

}  // namespace qpcseal::audit
