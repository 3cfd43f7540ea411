// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/audit_page.h"
#include "appliance/cli/output/html.h"

namespace qpcseal::cli {

void put_glossary(PageFile& page) {
  static constexpr std::pair<const char*, const char*> kTerms[] = {
      {"model key",
       "A MEK: an AES-128 key that was made in the token and never leaves it but wrapped to a card. "
       "name#2 is the second generation of a name."},
      {"release", "The MEK was wrapped to the session key of one card, whose report was verified."},
      {"denied", "Report or policy said no, and nothing was wrapped."},
      {"refused", "The report verified and was in the way of others: its release was not begun."},
      {"failed, unknown", "failed: the act came to nothing. unknown: a run ended before it could say."},
      {"seal", "A model was encrypted under a model key."},
      {"card, ueid", "An accelerator, by the identity in its attestation report."},
      {"class", "The [[device]] of the policy that the card fits."},
      {"host", "Where the request was to go, as the operator named it. The report does not prove it."},
      {"allowed by",
       "Officers who signed the request for this act. 'The policy alone': the policy asks for none."},
      {"policy", "The rules in force, by their serial. Officers sign each one."},
      {"suite", "How a MEK is wrapped: ECDH or RSA, and AES key wrap (FORMAT.md, section 3)."},
      {"ATT-...", "A finding of the report's verification: signature, certificates, revocation, form."},
      {"POL-...",
       "A finding of the policy: a claim that it does not allow, a challenge, a limit. CHECKS.md has each "
       "id."},
      {"challenge", "A number made for one report. It serves once, and for a limited time."},
      {"drill", "A backup was opened at the recovery token, to prove that it can be."},
      {"checkpoint",
       "Size and root of the log, signed by the token. Two copies with the same root are the same."},
      {"witness",
       "Somebody else who signs checkpoints, so that the log cannot be shown differently to two people."}};
  std::vector<std::vector<std::string>> rows;
  for (const auto& [term, meaning] : kTerms) rows.push_back({html::element("b", term), html::text(meaning)});
  page.put(html::element("h2", "Terms") + "\n" + html::table({"", ""}, rows, ""));
}

}  // namespace qpcseal::cli
