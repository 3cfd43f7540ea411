// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/vouched.h"

#include <algorithm>
#include <array>

#include "appliance/approval/approval_request.h"
#include "appliance/approval/officers.h"
#include "appliance/site/archive.h"
#include "appliance/site/named_digests.h"
#include "appliance/site/pinned_files.h"
#include "appliance/site/seen_checkpoints.h"
#include "appliance/trust/trust_folder.h"
#include "base/error.h"
#include "encoding/tar.h"
#include "tlog/cosignature.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

constexpr std::string_view kEntries = "log/entries.jsonl", kCheckpoint = "log/checkpoint",
                           kQuarantine = "log/quarantine-", kLines = ".jsonl";
constexpr std::size_t kHexDigest = 2 * sizeof(Sha256Digest), kQuarantineDigits = 16, kKeyIdDigits = 8;
constexpr std::string_view kApprovalKinds[] = {".signed",    ".officers", ".trust",   ".request", ".plan",
                                               ".rehearsal", ".reports",  ".genesis", ".sig"};

bool is_hex_digits(std::string_view text, std::size_t digits) {
  return text.size() == digits &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// The part part_between `before` and `after`; empty where the name has another form.
std::string_view part_between(std::string_view name, std::string_view before, std::string_view after) {
  if (!name.starts_with(before) || !name.ends_with(after) || name.size() < before.size() + after.size())
    return {};
  return name.substr(before.size(), name.size() - before.size() - after.size());
}

std::string_view extension_of(std::string_view name) {
  return name.substr(std::min(name.rfind('.'), name.size()));
}
std::string digest_in(const std::string& name) {
  const std::size_t start = name.find('/') + 1;
  return name.substr(start, kHexDigest);
}

class Judge {
 public:
  Judge(const audit::LogCopy& log, const std::vector<HomeFile>& files,
        const std::function<Bytes(const HomeFile&)>& read)
      : log_(log), named_(collect_named_digests(log)), read_(read) {
    for (const HomeFile& file : files) files_.emplace(file.name, &file);
    for (const HomeFile& file : files)
      if (is_request(file)) add_list(file);
    trust_ = is_trust_whole();
  }

  [[nodiscard]] bool vouches(const HomeFile& file) const {
    const auto kind = file_kind(file.name);
    if (!kind) return false;
    switch (*kind) {
      case FileKind::Log:
        return log_file(file);
      case FileKind::Policy:
        return in_force(file, log_.state.policy_digest, "policy");
      case FileKind::Officers:
        return in_force(file, log_.state.officers_digest, "officers");
      case FileKind::Collateral:
        return in_force(file, log_.state.collateral_serial > 0 ? log_.state.trust_digest : "", "trust");
      case FileKind::Trust:
        return trust_;
      case FileKind::Witness:
        return witness(file);
      case FileKind::Report:
        return file.sha256 == digest_in(file.name) && named_.reports.contains(file.sha256);
      case FileKind::Approval:
        return approval(file);
    }
    return false;
  }

  // What is there and not vouched for is not the file that must be there.
  [[nodiscard]] std::vector<std::string> missing(const std::vector<HomeFile>& vouched) const {
    std::vector<std::string> out;
    const auto need = [&](bool needed, const char* name) {
      if (needed && std::ranges::find(vouched, name, &HomeFile::name) == vouched.end())
        out.emplace_back(name);
    };
    need(true, "log/entries.jsonl");
    need(true, "log/checkpoint");
    need(true, "policy.toml");
    need(!log_.state.officers_digest.empty(), "officers");
    need(log_.state.collateral_serial > 0, "collateral.json");
    if (!trust_) out.emplace_back("trust/, as the first entry names it");
    return out;
  }

 private:
  [[nodiscard]] std::string text(const HomeFile& file) const { return std::string(text_view(read_(file))); }

  [[nodiscard]] bool log_file(const HomeFile& file) const {
    if (file.name == kEntries || file.name == kCheckpoint) return true;  // read_log() has verified them
    const auto quarantined = named_.quarantined.find(file.name.substr(std::string_view("log/").size()));
    return quarantined != named_.quarantined.end() && quarantined->second == file.sha256;
  }

  // A change that was cut short may have put the next file in place: the next start settles it.
  [[nodiscard]] bool in_force(const HomeFile& file, const std::string& digest, std::string_view kind) const {
    if (!digest.empty() && file.sha256 == digest) return true;
    return std::ranges::any_of(log_.state.open, [&](const auto& open) {
      return open.second.kind == kind && encoding::text_member(open.second.data, "digest") == file.sha256;
    });
  }

  [[nodiscard]] bool is_trust_whole() const {
    std::map<std::string, Bytes> files;
    for (const auto& [name, file] : files_)
      if (file_kind(name) == FileKind::Trust) files[name.substr(name.find('/') + 1)] = read_(*file);
    try {
      return to_hex(trust::trust_of_files(files).digest) ==
             encoding::text_member(log_.state.genesis, "trust");
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Malformed) throw;
      return false;
    }
  }

  // Signed by the log's own key, of this log, and by the witness whose file it is.
  [[nodiscard]] bool witness(const HomeFile& file) const {
    const std::string note = text(file);
    for (const std::string& vkey : log_.state.witness_keys) {
      const auto key = tlog::WitnessKey::parse(vkey);
      if (file.name != "witness/" + to_hex(key.id()) + ".note") continue;
      require_continues(log_.state, log_.tree, note, file.name);
      static_cast<void>(tlog::open_cosigned(note, key));
      return true;
    }
    return false;
  }

  [[nodiscard]] bool is_request(const HomeFile& file) const {
    return file_kind(file.name) == FileKind::Approval && extension_of(file.name) == ".request" &&
           file.sha256 == digest_in(file.name) && named_.requests.contains(file.sha256);
  }

  // A request that the log names names the list of many reports that it stands for.
  void add_list(const HomeFile& file) {
    const approval::ApprovalRequest request = approval::parse_approval_request(text(file));
    const auto list = request.parameters.find("reports_sha256");
    if (list != request.parameters.end() && list->is_string()) lists_.insert(list->get<std::string>());
  }

  [[nodiscard]] bool approval(const HomeFile& file) const {
    const std::string digest = digest_in(file.name);
    const std::string_view extension = extension_of(file.name);
    // A trust folder has its own digest, which is not that of the file.
    if (extension == ".trust")
      return named_.trust.contains(digest) && to_hex(parse_trust(text(file)).digest) == digest;
    if (file.sha256 != digest) return false;
    if (extension == ".reports") return lists_.contains(digest);
    if (extension == ".sig") return named_.signatures.contains(digest) || signs_first_policy(text(file));
    return named_.kept_as(extension).contains(digest);
  }

  // The file of that name where its digest is right; its text.
  [[nodiscard]] std::optional<std::string> kept_text(const std::string& digest, const char* extension) const {
    const auto found = files_.find("approvals/" + digest + extension);
    if (found == files_.end() || found->second->sha256 != digest) return std::nullopt;
    return text(*found->second);
  }

  // The log does not name the signatures under its first policy: its officers' keys decide.
  [[nodiscard]] bool signs_first_policy(const std::string& signature) const {
    const Json& genesis = log_.state.genesis;
    if (encoding::member(genesis, "officers").is_null()) return false;
    const auto policy =
        kept_text(encoding::text_member(encoding::member(genesis, "policy"), "digest"), ".signed");
    const auto officers = kept_text(encoding::text_member(genesis, "officers"), ".officers");
    if (!policy || !officers) return false;
    const auto first = log_.line(0);
    const UnixTime began = audit::scan_entry(first).time;
    return !approval::tally_signatures(approval::parse_officers(*officers), kPolicyNamespace, view(*policy),
                                       {signature}, began)
                .approvers.empty();
  }

  const audit::LogCopy& log_;
  NamedDigests named_;
  const std::function<Bytes(const HomeFile&)>& read_;
  std::map<std::string, const HomeFile*> files_;
  std::set<std::string> lists_;
  bool trust_ = false;
};

}  // namespace

std::string_view to_string(FileKind kind) {
  static constexpr std::array<std::string_view, 8> kNames = {
      "log", "policy", "officers", "trust", "collateral", "witness", "reports", "approvals"};
  return kNames.at(static_cast<std::size_t>(kind));
}

std::string_view voucher_name(FileKind kind) {
  static constexpr std::array<std::string_view, 8> kWords = {
      "the checkpoint, signed by the log's key; quarantined lines: their entry",
      "the entry of the policy in force",
      "the entry of the officers in force",
      "the first entry",
      "the entry of the bundle in force",
      "the witness's signature and the log's own key",
      "the entries of releases and denials",
      "the entries of approvals, signatures by their entry or by the first officers"};
  return kWords.at(static_cast<std::size_t>(kind));
}

std::optional<FileKind> file_kind(const std::string& name) {
  if (!encoding::is_inner_name(name)) return std::nullopt;
  const std::string_view quarantined = part_between(name, kQuarantine, kLines);
  if (name == kEntries || name == kCheckpoint || is_hex_digits(quarantined, kQuarantineDigits))
    return FileKind::Log;
  if (name == "policy.toml") return FileKind::Policy;
  if (name == "officers") return FileKind::Officers;
  if (name == "collateral.json") return FileKind::Collateral;
  const std::string_view trusted = part_between(name, "trust/", "");
  if (!trusted.empty() && trusted.front() != '.' && trusted.find('/') == std::string_view::npos)
    return FileKind::Trust;
  if (is_hex_digits(part_between(name, "witness/", ".note"), kKeyIdDigits)) return FileKind::Witness;
  if (is_hex_digits(part_between(name, "reports/", ".report"), kHexDigest)) return FileKind::Report;
  for (const std::string_view extension : kApprovalKinds)
    if (is_hex_digits(part_between(name, "approvals/", extension), kHexDigest)) return FileKind::Approval;
  return std::nullopt;
}

Vouching vouch(const audit::LogCopy& log, const std::vector<HomeFile>& files,
               const std::function<Bytes(const HomeFile&)>& read) {
  const Judge judge(log, files, read);
  Vouching out;
  for (const HomeFile& file : files) {
    if (with_context(file.name, [&] { return judge.vouches(file); }))
      out.vouched.push_back(file);
    else
      out.unvouched.push_back(file.name);
  }
  std::ranges::sort(out.vouched, {}, &HomeFile::name);
  out.missing = judge.missing(out.vouched);
  return out;
}

}  // namespace qpcseal::site
