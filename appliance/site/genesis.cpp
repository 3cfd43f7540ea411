// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/genesis.h"

#include <algorithm>
#include <array>
#include <set>

#include "appliance/site/archive.h"
#include "base/digest.h"
#include "base/error.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

constexpr std::string_view kTitle = "qpcseal genesis 3\n";
constexpr std::array<std::string_view, 16> kGenesisLines = {"appliance",
                                                            "aud",
                                                            "token serial",
                                                            "log key",
                                                            "seal key sha256",
                                                            "module sha256",
                                                            "module arguments",
                                                            "accepted",
                                                            "anchor",
                                                            "clock days",
                                                            "image",
                                                            "policy serial",
                                                            "policy sha256",
                                                            "officers sha256",
                                                            "trust sha256",
                                                            "genesis entry"};

std::string json_text(const std::string& text) { return Json(text).dump(-1, ' ', true); }

std::string names_of(const std::set<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

}  // namespace

std::string genesis_text(const audit::State& state, const tlog::Hash& leaf) {
  const Json& genesis = state.genesis;
  const Json& policy = encoding::member(genesis, "policy");
  const audit::SiteFacts site = audit::genesis_facts(genesis);
  const std::array<std::string, kGenesisLines.size()> values = {
      json_text(encoding::text_member(genesis, "appliance_id")),
      encoding::text_member(genesis, "aud"),
      json_text(encoding::text_member(encoding::member(genesis, "token"), "serial")),
      json_text(encoding::text_member(genesis, "log_key")),
      sha256_hex(from_base64(encoding::text_member(genesis, "seal_key"))),
      site.module_sha256,
      json_text(site.module_arguments),
      Json(site.accept).dump(),
      site.anchor ? "true" : "false",
      std::to_string(site.clock_days),
      site.image.empty() ? "none" : site.image,
      std::to_string(encoding::uint_member(policy, "serial")),
      encoding::text_member(policy, "digest"),
      encoding::text_member(genesis, "officers"),
      encoding::text_member(genesis, "trust"),
      to_hex(leaf)};
  std::string out(kTitle);
  for (std::size_t i = 0; i < kGenesisLines.size(); ++i)
    out += std::string(kGenesisLines[i]) + ": " + values[i] + "\n";
  return out;
}

bool is_genesis_text(std::string_view text) { return text.starts_with(kTitle); }

void check_genesis_text(std::string_view text) {
  const auto require = [](bool good) {
    if (!good) throw Error(ErrorKind::Malformed, "not a genesis as 'qpcseal genesis show' writes it");
  };
  require(is_genesis_text(text));
  require(std::ranges::all_of(text, [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
  text.remove_prefix(kTitle.size());
  for (const std::string_view name : kGenesisLines) {
    const std::size_t end = text.find('\n');
    require(end != std::string_view::npos && text.starts_with(name) &&
            text.substr(name.size()).starts_with(": "));
    text.remove_prefix(end + 1);
  }
  require(text.empty());
}

SignedGenesis check_genesis(const Outlook& outlook) {
  const audit::State& state = outlook.state;
  if (state.genesis_accepted) throw Error(ErrorKind::Usage, "the genesis was accepted before");
  const approval::Officers officers = approval::read_officers(outlook.home.officers(), state);
  SignedGenesis out{genesis_text(state, outlook.tree().leaf(0)), {}, {}};
  const std::vector<std::string> signatures = approval::read_signatures(outlook.approvals.signatures);
  const approval::Tally tally =
      approval::tally_signatures(officers, "approval@qpcseal", view(out.text), signatures, outlook.now());
  std::set<std::string> lacking;
  for (const approval::Officer& officer : officers.list) lacking.insert(officer.name);
  for (const approval::Approver& approver : tally.approvers) lacking.erase(approver.name);
  if (!lacking.empty())
    throw Error(ErrorKind::ApprovalsMissing,
                "every listed officer signs the genesis; not signed by " + names_of(lacking),
                "'qpcseal genesis show -o FILE' writes what they sign", tally.findings);
  out.approvers = tally.approvers;
  out.signatures = approval::counted(signatures, tally.approvers);
  return out;
}

std::vector<approval::Approver> accept_genesis(Appliance& appliance) {
  SignedGenesis genesis = check_genesis(appliance.outlook());
  archive_approval(appliance.home(), genesis.text, ".genesis", genesis.signatures);
  appliance.log().event("genesis-accepted", {{"text_sha256", sha256_hex(genesis.text)},
                                             {"approvers", approval::as_json(genesis.approvers)}});
  return std::move(genesis.approvers);
}

}  // namespace qpcseal::site
