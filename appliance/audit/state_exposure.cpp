// SPDX-License-Identifier: Apache-2.0
// Keys that leave the token in the clear, for another maker's tool.
#include <algorithm>

#include "appliance/audit/state_kinds.h"

namespace qpcseal::audit {

namespace {

// A policy that asks no officer for it is one for demonstrations (policy::Policy::is_weak). How many it asks
// for is in its file, which the log names.
void require_officers(const State& state, const Entry& entry) {
  const bool demo =
      state.genesis.contains("insecure_demo") && encoding::bool_member(state.genesis, "insecure_demo");
  if (demo || state.officers_digest.empty()) return;
  require(
      entry.data.contains("approval") && !encoding::member(entry.data.at("approval"), "approvers").empty(),
      "an exposure that no officer agreed to");
}

void begin_exposure(State& state, const Entry& entry) {
  require_officers(state, entry);
  const MekHistory& mek = known_mek(state, entry.data, "an exposure of an unknown MEK");
  require(mek.state == "ok", "an exposure of a MEK that is '" + mek.state + "'");
  encoding::hex_member(entry.data, "tool_sha256", kDigestSize);
  encoding::hex_member(entry.data, "program_sha256", kDigestSize);
  if (entry.data.contains("model_sha256")) encoding::hex_member(entry.data, "model_sha256", kDigestSize);
  encoding::text_member(entry.data, "act");
  require(encoding::text_member(encoding::member(entry.data, "policy"), "digest") == state.policy_digest,
          "an exposure under a policy that is not in force");
  const encoding::Json& reports = encoding::member(entry.data, "reports");
  require(reports.is_array(), "reports are no list");
  for (const encoding::Json& report : reports)
    require(report.is_string() && encoding::is_hex(report.get<std::string>(), kDigestSize),
            "a report without its SHA-256");
}

// From here on the key may be known to the workstation, whatever the result says or does not say.
void expose(State& state, const Entry& entry, const OpenIntent& intent) {
  MekHistory& mek = known_mek(state, intent.data, "an exposure of an unknown MEK");
  require(mek.state == "ok", "an exposure of a MEK that is '" + mek.state + "'");
  if (mek.exposures++ == 0) mek.exposed_since = entry.time;
}

void end_exposure(State& /*state*/, const Entry& entry, const OpenIntent& /*intent*/) {
  if (entry.outcome != "ok") return;
  const encoding::Json& outputs = encoding::member(entry.data, "outputs");
  require(outputs.is_array() && !outputs.empty(), "an exposure that made nothing");
  for (const encoding::Json& output : outputs) {
    encoding::text_member(output, "name");
    encoding::uint_member(output, "size");
    encoding::hex_member(output, "sha256", kDigestSize);
  }
}

}  // namespace

// An exposure of the same MEK, for this report among others, that has come as far.
void check_exposed(const State& state, const encoding::Json& exposed, const OpenIntent& release) {
  const std::string& tool = encoding::hex_member(exposed, "tool_sha256", kDigestSize);
  const encoding::Json& report = encoding::member(release.data, "report_sha256");
  const bool there = std::ranges::any_of(state.open, [&](const auto& item) {
    const OpenIntent& intent = item.second;
    const auto names = [&](const encoding::Json& reports) {
      return std::ranges::find(reports, report) != reports.end();
    };
    return intent.kind == kMekExpose.name && intent.is_wrapped() &&
           intent.data.at("mek_id") == release.data.at("mek_id") && intent.data.at("tool_sha256") == tool &&
           names(intent.data.at("reports"));
  });
  require(there, "a release by a tool that has not got the key");
}

const Kind kMekExpose{"mek-expose", nullptr, begin_exposure, end_exposure, expose};

}  // namespace qpcseal::audit
