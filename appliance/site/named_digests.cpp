// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/named_digests.h"

#include <algorithm>
#include <array>

#include "appliance/audit/entry.h"
#include "base/digest.h"

namespace qpcseal::site {

namespace {

using audit::Entry;
using audit::Phase;
using encoding::Json;

void add(std::set<std::string>& to, const Json& data, const char* member) {
  if (const auto found = data.find(member); found != data.end() && found->is_string())
    to.insert(encoding::hex_member(data, member, sizeof(Sha256Digest)));
}

// Whoever signed, for or against.
void add_signatures(NamedDigests& out, const Json& data) {
  for (const char* list : {"approvers", "rejecters"})
    if (const auto people = data.find(list); people != data.end())
      for (const Json& person : *people) add(out.signatures, person, "signature_sha256");
}

void add_approval(NamedDigests& out, const Json& data, const char* member) {
  const auto record = data.find(member);
  if (record == data.end()) return;
  add(out.requests, *record, "request_sha256");
  add_signatures(out, *record);
}

void add_pinned(NamedDigests& out, const Entry& entry) {
  if (entry.kind == "genesis") {
    add(out.texts, encoding::member(entry.data, "policy"), "digest");
    add(out.officers, entry.data, "officers");
    add(out.trust, entry.data, "trust");
  }
  if (entry.phase == Phase::Intent && (entry.kind == "policy" || entry.kind == "trust"))
    add(out.texts, entry.data, "digest");
  if (entry.phase == Phase::Intent && entry.kind == "officers") add(out.officers, entry.data, "digest");
}

void add_entry(NamedDigests& out, const Entry& entry) {
  add_pinned(out, entry);
  add_approval(out, entry.data, "approval");
  add_approval(out, entry.data, "agreed");
  add_signatures(out, entry.data);
  if (entry.kind == "genesis-accepted") add(out.geneses, entry.data, "text_sha256");
  if (entry.kind == "release" || entry.kind == "denied" || entry.kind == "refused")
    add(out.reports, entry.data, "report_sha256");
  if (entry.kind == "ceremony") add(out.plans, entry.data, "plan_sha256");
  if (entry.kind == "ceremony") add(out.rehearsals, entry.data, "rehearsal_sha256");
  if (entry.kind == "rejection")
    add(encoding::text_member(entry.data, "operation") == "ceremony" ? out.plans : out.requests, entry.data,
        "request_sha256");
  if (entry.kind == "recovery")
    out.quarantined[encoding::text_member(entry.data, "quarantine")] =
        encoding::hex_member(entry.data, "sha256", sizeof(Sha256Digest));
}

// Before it is parsed: most entries are challenges and results, which name no file.
bool may_name(std::string_view line) {
  static constexpr std::array<std::string_view, 10> kKinds = {
      "genesis", "genesis-accepted", "policy",    "trust",    "officers",
      "denied",  "ceremony",         "rejection", "recovery", "refused"};
  const audit::EntryView entry = audit::scan_entry(line);
  if (std::ranges::find(kKinds, entry.kind) != kKinds.end()) return true;
  if (entry.kind == "release" && entry.phase == Phase::Intent) return true;
  return line.find("\"approv") != std::string_view::npos || line.find("\"agreed\"") != std::string_view::npos;
}

}  // namespace

const std::set<std::string>& NamedDigests::kept_as(std::string_view extension) const {
  static const std::set<std::string> kNone;
  if (extension == ".signed") return texts;
  if (extension == ".officers") return officers;
  if (extension == ".request") return requests;
  if (extension == ".plan") return plans;
  if (extension == ".rehearsal") return rehearsals;
  if (extension == ".genesis") return geneses;
  return kNone;
}

NamedDigests collect_named_digests(const audit::LogCopy& log) {
  NamedDigests out;
  log.each([&](std::uint64_t, std::string_view line) {
    if (may_name(line)) add_entry(out, audit::parse_entry(line));
  });
  return out;
}

}  // namespace qpcseal::site
