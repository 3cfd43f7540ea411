// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/set_report.h"

#include <algorithm>

#include "appliance/models/seal_model.h"
#include "appliance/models/sealed_files.h"
#include "base/error.h"
#include "base/file_name.h"
#include "base/text.h"

namespace qpcseal::cli {

namespace {

using Rows = std::vector<std::vector<std::string>>;
namespace fs = std::filesystem;

std::string part_text(const models::ReadablePart& part) {
  const std::string name = printable(part.segment);
  if (!part.sealed) return "  " + name + ": all of it\n";
  if (part.sections.empty())
    return "  " + name + ": nothing (" + printable(part.why_whole) + "); a host must not need to read it\n";
  std::vector<std::string> sections;
  for (const std::string& section : part.sections) sections.push_back(printable(section));
  return "  " + name + ": its ELF headers, the names of its sections" +
         (part.symbol_names ? " and symbols" : "") + ", and " + join(sections) + "\n";
}

nlohmann::ordered_json part_json(const models::ReadablePart& part) {
  nlohmann::ordered_json out{{"segment", part.segment}, {"sealed", part.sealed}};
  if (part.sealed) {
    out["sections"] = part.sections;
    out["symbol_names"] = part.symbol_names;
  }
  if (!part.why_whole.empty()) out["why_whole"] = part.why_whole;
  return out;
}

std::string parts_text(const std::vector<models::ReadablePart>& parts) {
  std::string out;
  for (const models::ReadablePart& part : parts) out += part_text(part);
  return parts.empty() ? "  nothing but the names and sizes of its segments\n" : out;
}

nlohmann::ordered_json parts_json(const std::vector<models::ReadablePart>& parts) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const models::ReadablePart& part : parts) out.push_back(part_json(part));
  return out;
}

nlohmann::ordered_json entry_json(const seal::SetEntry& entry) {
  const bool model = entry.kind == seal::SetKind::Model;
  return {{"path", entry.path},
          {"kind", model ? "model" : "file"},
          {"size", entry.size},
          {model ? "manifest_sha256" : "sha256", to_hex(entry.digest)}};
}

// Whether all of its parts are.
bool is_bound(const fs::path& path) {
  const Fd file = open_to_read(path);
  const seal::SealedTree tree = seal::SealedTree::read(file);
  return std::ranges::all_of(tree.loads(), [](const auto* node) { return node->slots().has_value(); });
}

}  // namespace

void add_readable(Report& report, const std::vector<models::ReadablePart>& parts) {
  report.json["readable"] = parts_json(parts);
  report.text += "stays readable in the file:\n" + parts_text(parts);
}

Report render_sealed_set(const models::SealSetResult& set, const keys::Mek& mek) {
  Report report;
  report.json = {{"output", set.output.string()},
                 {"set", set.name},
                 {"mek", mek.label},
                 {"mek_id", to_hex(mek.id)},
                 {"manifest_sha256", to_hex(set.manifest_digest)},
                 {"models", nlohmann::ordered_json::array()},
                 {"others", nlohmann::ordered_json::array()}};
  report.written = {set.output / seal::kSetName};
  report.text = "sealed the set " + printable(set.name) + " into " + printable(set.output.string()) +
                " under " + mek.label + "\nSHA-256 of its list " + to_hex(set.manifest_digest) + "\n";
  for (const models::SetModel& model : set.models) {
    report.written.push_back(set.output / model.path);
    report.json["models"].push_back({{"path", model.path},
                                     {"skipped", model.skipped},
                                     {"segments", model.segments},
                                     {"readable", parts_json(model.readable)}});
    report.text += (model.skipped ? "was sealed before: " : "sealed ") + printable(model.path) + "\n";
  }
  report.text += "not bound to a card: 'qpcseal encrypt-with-session-keys' binds all of it\n";
  for (const models::SetModel& model : set.models)
    report.text += "stays readable in " + printable(model.path) + ":\n" + parts_text(model.readable);
  report.text += "readable because they are no QPC, copied as they are:\n";
  for (const seal::SetEntry& file : set.others) {
    report.written.push_back(set.output / file.path);
    report.json["others"].push_back(entry_json(file));
    report.text += "  " + printable(file.path) + "  SHA-256 " + to_hex(file.digest) + "\n";
  }
  if (set.others.empty()) report.text += "  none\n";
  return report;
}

bool is_set_or_its_list(const fs::path& path) {
  return fs::is_directory(fs::symlink_status(path)) || path.filename() == seal::kSetName;
}

Report inspect_set(const fs::path& path) {
  const bool is_dir = fs::is_directory(fs::symlink_status(path));
  const fs::path dir = is_dir ? path : path.parent_path();
  const auto set = models::read_set(dir.empty() ? "." : dir);
  if (!set) {
    const fs::path one = dir / models::kOutputName;
    throw Error(ErrorKind::Malformed, path.string() + " has no seal.set, and is no set of models",
                is_name_taken(one) ? "it has one model: 'qpcseal inspect " + shell_word(one.string()) + "'"
                                   : "name one file; a set without seal.set was not sealed to its end "
                                     "('encrypt-model --skip-existing' goes on)");
  }
  if (is_dir) models::check_set(*set, dir);
  Report report;
  const seal::SetManifest& manifest = set->manifest;
  report.json = {{"type", "sealed set"},
                 {"set", manifest.name},
                 {"version", manifest.version},
                 {"set_id", to_hex(manifest.set_id)},
                 {"mek_id", to_hex(manifest.mek_id)},
                 {"created", format_time(manifest.created)},
                 {"manifest_sha256", sha256_hex(set->signed_set.manifest)},
                 {"files", nlohmann::ordered_json::array()}};
  report.text = "set of models " + printable(manifest.name) + ", version " +
                std::to_string(manifest.version) + ", sealed " + format_time(manifest.created) +
                "\nMEK id  " + to_hex(manifest.mek_id) + "\nset id  " + to_hex(manifest.set_id) + "\n" +
                (is_dir ? "each file is as listed; the list's signature is NOT verified here\n"
                        : "what the list says; nothing is verified here\n");
  Rows rows{{"path", "kind", "bytes", is_dir ? "bound" : "SHA-256"}};
  for (const seal::SetEntry& entry : manifest.entries) {
    nlohmann::ordered_json one = entry_json(entry);
    std::string last = is_dir ? "" : to_hex(entry.digest);
    if (is_dir && entry.kind == seal::SetKind::Model) {
      one["bound"] = is_bound(dir / entry.path);
      last = one["bound"].get<bool>() ? "yes" : "no";
    }
    rows.push_back({printable(entry.path), one["kind"].get<std::string>(), std::to_string(entry.size), last});
    report.json["files"].push_back(std::move(one));
  }
  report.text += table(rows);
  return report;
}

}  // namespace qpcseal::cli
