// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/record_page.h"

#include "appliance/ceremony/record.h"
#include "appliance/cli/output/html.h"
#include "appliance/cli/output/record_parts.h"
#include "base/digest.h"
#include "base/error.h"

namespace qpcseal::cli {

namespace record {

namespace {

using encoding::Json;
using Rows = std::vector<std::vector<std::string>>;

constexpr std::string_view kRecordStyle = R"(
.kind { font-size: 1.05rem; letter-spacing: .04em; text-transform: uppercase; margin: 0; }
.whole { white-space: nowrap; }
.outcome { border-width: 2px; font-size: 1.05rem; margin: 1.2rem 0; }
table.facts th { width: 11rem; color: var(--ink); border-bottom: 1px solid var(--line); white-space: normal; }
table.facts td { overflow-wrap: anywhere; white-space: pre-line; }
pre { font: .8em/1.4 "Liberation Mono", "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere;
  border: 1px solid var(--line); padding: .6rem .8rem; }
.sign { break-inside: avoid; } .lines td { height: 3.4rem; vertical-align: bottom; }
.sign td.line { border-bottom: 1px solid var(--ink); border-left: 1rem solid #fff; }
@media (max-width: 36rem) { table.facts th, table.facts td { display: block; width: auto; }
  table.facts th { border: 0; padding-bottom: 0; } .sign td.line { min-width: 6rem; } }
)";

std::string list(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += html::element("li", html::text(item)) + "\n";
  return html::element("ul", out) + "\n";
}

std::string outcome_sentence(const Json& outcome) {
  std::string steps =
      said(outcome.at("steps_done")) + " of " + said(outcome.at("steps")) + " steps were done.";
  if (const Json& acts = outcome.at("acts_unconfirmed"); acts != 0)
    steps += acts == 1 ? " In one more the act was done, and nobody confirmed it."
                       : " In " + said(acts) + " more the act was done, and nobody confirmed it.";
  const std::string result = said(outcome.at("result"));
  if (result == "complete") return "The ceremony was completed: " + steps;
  if (result == "abandoned")
    return "The ceremony was abandoned, because: " + said(outcome.at("why")) + "\n" + steps +
           " What they did stays done.";
  return "The ceremony failed: " + steps + " What they did stays done.";
}

std::string record_head(const Json& record) {
  const Json &outcome = record.at("outcome"), &appliance = record.at("appliance");
  const std::string result = said(outcome.at("result"));
  std::string word = result;
  for (char& c : word) c = static_cast<char>(c - 'a' + 'A');
  std::string out = html::element("p", "Record of a key ceremony", "class=\"kind soft\"") + "\n" +
                    html::element("h1", html::text(said(record.at("plan").at("title")))) + "\n";
  out += html::element(
             "div",
             html::element("b", html::text(word), result == "complete" ? "class=\"good\"" : "class=\"bad\"") +
                 html::element("p", html::text(outcome_sentence(outcome)), "style=\"white-space:pre-line\""),
             "class=\"box outcome\"") +
         "\n";
  if (record.at("demonstration") == true)
    out += html::element("p",
                         "REHEARSAL OR TRIAL: a demonstration appliance, which proves nothing of a real one.",
                         "class=\"bad\"") +
           "\n";
  Facts facts;
  facts.add("began", record.at("began")).add("ended", record.at("ended"));
  if (!record.at("place").is_null()) facts.add("place", record.at("place"));
  facts.add("appliance", appliance.at("id")).add("plan", record.at("plan").at("id"));
  if (!record.at("stand_ins").empty()) facts.add("stand-ins", record.at("stand_ins"));
  return out + facts.table();
}

std::string result_of(const Json& step) {
  if (step.at("done") == true) return "done";
  if (!step.at("unconfirmed").is_null())
    return "act done (log entry " + said(step.at("unconfirmed")) + "), not confirmed";
  return step.at("attempts").empty() ? "not begun" : "not done";
}

// Not broken in two at a hyphen.
std::string whole(const std::string& text) {
  return html::element("span", html::text(text), "class=\"whole\"");
}

std::string steps_overview(const Json& record) {
  Rows rows;
  for (const Json& step : record.at("steps")) {
    const Json& attempts = step.at("attempts");
    const Json last = attempts.empty() ? Json::object() : attempts.back();
    std::string result = result_of(step);
    if (attempts.size() > 1) result += ", " + std::to_string(attempts.size()) + " attempts";
    rows.push_back(
        {std::to_string(rows.size() + 1), html::text(said(step.at("id"))), whole(said(step.at("act"))),
         html::text(said(step.at("who"))),
         html::element("span", result, step.at("done") == true ? "class=\"good\"" : "class=\"bad\""),
         whole(last.empty() ? "" : said(last.at("ended"))),
         html::text(last.empty() || last.at("initials").is_null() ? "" : said(last.at("initials")))});
  }
  return heading("Steps at a glance") +
         html::table({"", "Step", "Act", "Acts, by plan", "Result", "Ended", "Witness"}, rows, "None.");
}

std::string interruption(const Json& one) {
  std::string out;
  if (one.at("stopped").is_null()) {
    out = "After " + said(one.at("last_entry")) +
          " the run ended without a word in the log: the program was killed, or the machine lost its power.";
  } else {
    out =
        said(one.at("stopped")) + ", at step '" + said(one.at("step")) + "': " + said(one.at("cause")) + ".";
  }
  return out +
         (one.at("resumed").is_null() ? " It was not resumed." : " Resumed " + said(one.at("resumed")) + ".");
}

std::string stops(const Json& record) {
  std::vector<std::string> items;
  for (const Json& one : record.at("interruptions")) items.push_back(interruption(one));
  return heading("Stops and resumes") +
         (items.empty() ? paragraph("None: it went from beginning to end in one run.") : list(items));
}

// Of an attempt that came to nothing.
std::string why_not(const Json& attempt) {
  if (!attempt.at("error").is_null()) return ": " + said(attempt.at("error"));
  const Json& acts = attempt.at("acts");
  return acts.empty() ? "" : ": its act ended as '" + said(acts.back().at("outcome")) + "'";
}

std::string deviations(const Json& record) {
  std::vector<std::string> items;
  for (const Json& step : record.at("steps")) {
    if (!step.at("unconfirmed").is_null())
      items.push_back("Step '" + said(step.at("id")) + "': its act is done (log entry " +
                      said(step.at("unconfirmed")) + ") and stays, and nobody confirmed it.");
    for (const Json& attempt : step.at("attempts")) {
      const std::string where =
          "Step '" + said(step.at("id")) + "', attempt " + said(attempt.at("attempt")) + ": ";
      if (attempt.at("deviation").is_string() && !attempt.at("deviation").get<std::string>().empty())
        items.push_back(where + said(attempt.at("deviation")) + " (noted by " + said(attempt.at("initials")) +
                        ")");
      if (attempt.at("outcome") != "ok")
        items.push_back(where + said(attempt.at("outcome")) + why_not(attempt));
    }
  }
  std::string out =
      heading("Deviations from the plan") + (items.empty() ? paragraph("None was noted.") : list(items));
  out += heading("Differences from the rehearsal");
  const Json& comparison = record.at("comparison");
  if (!comparison.is_array()) return out + paragraph("There was no rehearsal to compare with.");
  if (comparison.empty())
    return out +
           paragraph("None. Compared were image, token, software, steps, acts and the attributes of keys.");
  return out + list(comparison.get<std::vector<std::string>>());
}

std::string person_of(const Json& record, const Json& officer) {
  for (const Json& person : record.at("people"))
    if (person.at("officer") == officer) return said(person.at("name")) + ", " + said(person.at("role"));
  return "the plan names no person for this officer";
}

std::string officers(const Json& record) {
  Rows rows;
  std::vector<std::string> notes;
  for (const Json& officer : record.at("approvers"))
    rows.push_back({html::text(said(officer.at("name"))), html::text(person_of(record, officer.at("name"))),
                    html::code(said(officer.at("fingerprint")))});
  for (const Json& person : record.at("people")) {
    bool signed_it = person.at("officer").is_null();
    for (const Json& officer : record.at("approvers"))
      signed_it = signed_it || officer.at("name") == person.at("officer");
    if (!signed_it)
      notes.push_back(said(person.at("name")) + ", officer " + said(person.at("officer")) +
                      ", did not sign the plan.");
  }
  for (const Json& rejected : record.at("rejections"))
    notes.push_back("A signature that does not count: " + said(rejected));
  return heading("Officers who signed the plan") +
         paragraph(said(record.at("plan").at("threshold")) + " had to sign it.") +
         html::table({"Officer", "Person", "Key"}, rows,
                     "Nobody: this appliance has no officers, or this is a rehearsal.") +
         (notes.empty() ? "" : list(notes));
}

// Each signs by hand, on the printed page.
std::string signature_lines(const Json& record, const std::string& digest) {
  Rows rows;
  std::string lines;
  for (const Json& person : record.at("people"))
    lines += html::element("tr", html::element("td", html::text(said(person.at("name")))) +
                                     html::element("td", html::text(said(person.at("role")))) +
                                     html::element("td", "", "class=\"line\" style=\"width:38%\"") +
                                     html::element("td", "", "class=\"line\" style=\"width:20%\"")) +
             "\n";
  std::string head;
  for (const char* name : {"Name", "Role", "Signature", "Place, date"}) head += html::element("th", name);
  return html::element(
             "div",
             heading("Signatures") +
                 paragraph(
                     "By signing below I attest that I took part in this ceremony in the role beside my "
                     "name, that this record says what I saw, and that I know of no deviation that it "
                     "does not name.") +
                 Facts().add("record's SHA-256", digest).add("in words", digest_words(digest)).table() +
                 html::element("table", html::element("thead", html::element("tr", head)) + lines,
                               "class=\"lines\""),
             "class=\"sign\"") +
         "\n";
}

// `text`: the record's, which `record` is parsed from. json::exception where it lacks a member.
std::string page_of(const Json& record, std::string_view text) {
  const std::string digest = sha256_hex(text);
  // Hex alone: nothing from outside gets into the style.
  const std::string paper =
      "@page { @top-left { content: \"Record of a key ceremony\"; font: 8pt sans-serif; } "
      "@bottom-left { content: \"Record SHA-256 " +
      digest + "\"; font: 7pt monospace; } }\n";
  return html::page_top("Record of a key ceremony: " + said(record.at("plan").at("title")),
                        std::string(kRecordStyle) + paper) +
         record_head(record) + steps_overview(record) + stops(record) + deviations(record) +
         officers(record) + identities(record) + machine(record) + steps_in_detail(record) +
         plan_text(record) + signature_lines(record, digest) + html::page_end();
}

}  // namespace

}  // namespace record

std::string make_record_page(std::string_view text) {
  const encoding::Json record = encoding::parse_json(text, "the record");
  try {
    if (!record.is_object() || record.value("format", encoding::Json()) != ceremony::kRecordFormat)
      throw Error(ErrorKind::Malformed, "no record of a ceremony, " + std::string(ceremony::kRecordFormat));
    return record::page_of(record, text);
  } catch (const encoding::Json::exception&) {
    throw Error(ErrorKind::Malformed, "the record of a ceremony lacks members, or has others");
  }
}

}  // namespace qpcseal::cli
