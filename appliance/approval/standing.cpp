// SPDX-License-Identifier: Apache-2.0
#include "appliance/approval/standing.h"

#include <algorithm>
#include <set>

#include "base/digest.h"
#include "base/error.h"

namespace qpcseal::approval {

namespace {

using encoding::Json;

constexpr const char* kMakeAnother = "'qpcseal request new' makes another one";

std::string name_of(const audit::Entry& entry) {
  return "log entry " + std::to_string(entry.seq) + ", " + entry.kind + ", of " + format_time(entry.time);
}

// What the log has under one nonce.
struct Use {
  std::optional<audit::Entry> first, rejection;
  std::set<std::uint64_t> intents;  // of releases
};

Use find_use(const audit::LogCopy& log, const std::string& nonce) {
  Use out;
  log.each([&](std::uint64_t seq, std::string_view line) {
    if (line.find(nonce) == std::string_view::npos) return;
    audit::Entry entry = audit::parse_entry(line);
    if (entry.kind == "release" && entry.phase == audit::Phase::Intent) out.intents.insert(seq);
    if (entry.kind == "release" && entry.phase == audit::Phase::Event)
      for (const Json& covered : entry.data.value("intents", Json::array()))
        out.intents.insert(covered.get<std::uint64_t>());
    if (entry.kind == "rejection") out.rejection = entry;
    if (!out.first) out.first = std::move(entry);
  });
  return out;
}

// The last entry of this kind about this MEK.
std::string when(const audit::LogCopy& log, const std::string& kind, const std::string& mek_id) {
  std::string out;
  log.each([&](std::uint64_t, std::string_view line) {
    if (line.find(mek_id) == std::string_view::npos) return;
    if (const audit::Entry entry = audit::parse_entry(line); entry.kind == kind) out = ": " + name_of(entry);
  });
  return out;
}

const audit::MekHistory* newer_than(const audit::State& state, const audit::MekHistory& mek) {
  const std::string name = mek.label.substr(0, mek.label.rfind('#') + 1);
  for (const auto& [id, other] : state.meks)
    if (other.label.starts_with(name) && other.generation > mek.generation && other.state != "failed")
      return &other;
  return nullptr;
}

std::string why_done_to(const audit::LogCopy& log, const std::string& operation,
                        const audit::MekHistory& mek) {
  const std::string id = to_hex(mek.id);
  const bool comes_back = operation == "mek-restore" || operation == "mek-drill" || operation == "mek-import";
  if (mek.state == "destroyed" && !comes_back)
    return mek.label + " is destroyed" + when(log, "mek-destroy", id);
  if (operation == "mek-suspend" && mek.state == "suspended")
    return mek.label + " is suspended already" + when(log, "mek-suspend", id);
  if (operation == "mek-resume" && mek.state == "ok")
    return mek.label + " is not suspended" + when(log, "mek-resume", id);
  const audit::MekHistory* next = operation == "mek-rotate" ? newer_than(log.state, mek) : nullptr;
  return next == nullptr
             ? ""
             : mek.label + " is replaced by " + next->label + " since " + format_time(next->created);
}

std::size_t reports_of(const ApprovalRequest& request) {
  if (request.parameters.contains("reports")) return request.parameters.at("reports").size();
  return static_cast<std::size_t>(encoding::uint_member(request.parameters, "report_count"));
}

// A request that was used serves on for the rest of its releases, and where its act failed.
void judge_use(const audit::LogCopy& log, const ApprovalRequest& request, const std::string& text,
               Standing& out) {
  const Use use = find_use(log, request.nonce);
  const std::string first = use.first ? name_of(*use.first) : "the log does not say when";
  if (use.rejection) {
    out.refusal = "the request was rejected: " + name_of(*use.rejection);
    return;
  }
  const auto again = log.state.approvals_again.find(request.nonce);
  if (again != log.state.approvals_again.end() && again->second == sha256_hex(text)) {
    out.note =
        "NOTE: its act was tried and failed (" + first + "); it may be done again under this request.\n";
    return;
  }
  const bool open =
      std::ranges::any_of(use.intents, [&](std::uint64_t seq) { return log.state.open.contains(seq); });
  if (request.operation == "release" && (open || use.intents.size() < reports_of(request))) {
    out.note =
        "NOTE: this request was used before (" + first +
        "), and a run that was cut short goes on under it. Sign it again only if a signature was lost.\n";
    return;
  }
  out.refusal = "the request was used already: " + first + ". Each one serves once";
}

}  // namespace

std::string why_done(const audit::LogCopy& log, const ApprovalRequest& request) {
  if (request.operation == "mek-generate") {
    const std::string name = encoding::text_or_empty(request.parameters, "name");
    for (const auto& [id, mek] : log.state.meks)
      if (mek.label.starts_with(name + "#") && mek.state != "failed")
        return "there is, or was, a MEK '" + name + "' already: " + mek.label + ", made " +
               format_time(mek.created);
  }
  const std::string id = encoding::text_or_empty(request.parameters, "mek_id");
  const auto mek =
      encoding::is_hex(id, id.size() / 2) ? log.state.meks.find(from_hex(id)) : log.state.meks.end();
  return mek == log.state.meks.end() ? "" : why_done_to(log, request.operation, mek->second);
}

std::string words_of_use(const audit::LogCopy& log, const std::string& nonce) {
  const Use use = find_use(log, nonce);
  if (use.rejection) return "rejected: " + name_of(*use.rejection);
  return (use.first ? "used before: " + name_of(*use.first) : "used before") + "; each one serves once";
}

std::optional<std::string> first_use(const audit::LogCopy& log, const std::string& nonce) {
  const Use use = find_use(log, nonce);
  if (!use.first) return std::nullopt;
  return name_of(*use.first);
}

Standing standing_by_clock(const ApprovalRequest& request, UnixTime now) {
  Standing out;
  if (now < request.not_after) return out;
  out.refusal =
      "the request expired at " + format_time(request.not_after) + ", and it is " + format_time(now);
  out.hint = kMakeAnother;
  if (request.operation != "mek-suspend") return out;
  // A key is stopped whatever a clock says; the appliance decides.
  out.note = "NOTE: " + out.refusal + ", by this machine's clock.\n";
  out.refusal.clear();
  return out;
}

Standing standing_in_log(const ApprovalContext& context, const audit::LogCopy& log,
                         const ApprovalRequest& request, const std::string& text) {
  Standing out = standing_by_clock(request, context.now);
  out.hint = kMakeAnother;
  if (log.state.approvals_used.contains(request.nonce)) judge_use(log, request, text, out);
  if (!out.refusal.empty()) return out;
  if (const std::string done = why_done(log, request); !done.empty()) {
    out.refusal = "what the request asks for is done: " + done;
    out.hint = "sign nothing; 'qpcseal audit show' has the entries";
    return out;
  }
  try {
    require_fits(context, request);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::ApprovalsMissing) throw;
    out.refusal = error.what();
  }
  return out;
}

}  // namespace qpcseal::approval
