// SPDX-License-Identifier: Apache-2.0
// The record as a page to print, sign and file.
#include "appliance/ceremony/record.h"
#include "base/text.h"
#include "encoding/pgp_words.h"

namespace qpcseal::ceremony {

namespace {

using encoding::Json;

constexpr std::string_view kStyle = R"(
@page { size: A4; margin: 18mm 16mm; }
body { font: 10.5pt/1.4 "DejaVu Sans", Arial, sans-serif; color: #111; max-width: 178mm; margin: 8mm auto; }
h1 { font-size: 17pt; margin: 0 0 1mm; } h2 { font-size: 12.5pt; margin: 7mm 0 2mm; border-bottom: 1px solid #777; }
h3 { font-size: 11pt; margin: 4mm 0 1mm; }
h2, h3 { break-after: avoid; } tr { break-inside: avoid; }
table { border-collapse: collapse; width: 100%; margin: 1mm 0 3mm; }
th, td { text-align: left; vertical-align: top; padding: 0.8mm 2mm 0.8mm 0; border-bottom: 1px solid #ddd; }
th { width: 40mm; font-weight: 600; } td { overflow-wrap: anywhere; white-space: pre-line; }
code, pre { font: 9pt/1.35 "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
pre { border: 1px solid #ccc; padding: 2mm; white-space: pre-wrap; }
.sign { break-inside: avoid; } .sign th { width: auto; } .sign tr + tr > * { height: 12mm; vertical-align: bottom; }
.sign td.line { border-bottom: 1px solid #111; } .sign td.gap { border: 0; width: 4mm; }
@media print { body { max-width: none; margin: 0; } }
)";

std::string text_of_value(const Json& value) {
  if (value.is_null()) return "none";
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_object()) return value.dump();
  std::string out;
  for (const auto& [name, member] : value.items())
    out += (out.empty() ? "" : ", ") + name + " = " + text_of_value(member);
  return out;
}

// Digests, ids and fingerprints are compared sign by sign: in a face in which no two look alike.
bool is_code(const std::string& text) {
  constexpr std::size_t kShortest = 16;
  const bool is_time = text.ends_with('Z') && text.find('T') == 10;
  return text.size() >= kShortest && !is_time && text.find_first_of(" \n,") == std::string::npos &&
         text.find_first_of("0123456789") != std::string::npos;
}

std::string cell(const std::string& text) {
  return is_code(text) ? "<code>" + html_text(text) + "</code>" : html_text(text);
}

std::string row(const std::string& name, const Json& value) {
  return "<tr><th>" + html_text(name) + "</th><td>" + cell(text_of_value(value)) + "</td></tr>\n";
}

std::string log_row(const std::string& name, const Json& point) {
  return "<tr><th>" + html_text(name) + "</th><td>" + point.at("size").dump() + " entries, root\n" +
         cell(text_of_value(point.at("root"))) + "</td></tr>\n";
}

// A digest in words; the last line has no end.
std::string in_words(const std::string& sha256) {
  std::string out = encoding::word_lines(from_hex(sha256), "");
  out.pop_back();
  return out;
}

std::string heading(const std::string& text) { return "<h2>" + html_text(text) + "</h2>\n"; }

std::string joined(const Json& list) {
  std::string out;
  for (const Json& item : list) out += (out.empty() ? "" : "; ") + text_of_value(item);
  return out.empty() ? "none" : out;
}

// Each signs by hand, on the printed page.
std::string people(const Json& record) {
  std::string out =
      "<div class=\"sign\">" + heading("People") +
      "<table><tr><th>name</th><th>role</th><th></th><th>signature</th><th></th><th>date</th></tr>\n";
  for (const Json& person : record.at("people"))
    out += "<tr><td>" + html_text(text_of_value(person.at("name"))) + "</td><td>" +
           html_text(text_of_value(person.at("role"))) +
           "</td><td class=\"gap\"></td><td class=\"line\" style=\"width: 62mm\"></td><td class=\"gap\"></td>"
           "<td class=\"line\" style=\"width: 28mm\"></td></tr>\n";
  return out + "</table></div>\n";
}

std::string approvals(const Json& record) {
  std::string out = heading("Officers who signed the plan") + "<table>\n";
  for (const Json& officer : record.at("approvers"))
    out += row(text_of_value(officer.at("name")), officer.at("fingerprint"));
  if (record.at("approvers").empty())
    out += row("nobody", "this appliance has no officers, or this is a rehearsal");
  for (const Json& rejected : record.at("rejections")) out += row("does not count", joined(rejected));
  return out + "</table>\n";
}

std::string environment(const Json& record) {
  const Json &facts = record.at("environment"), &token = facts.at("token");
  std::string out = heading("Machine and token") + "<table>\n";
  out += row("system", facts.at("os")) + row("software", facts.at("software")) +
         row("program's SHA-256", facts.at("binary_sha256")) + row("module", facts.at("module")) +
         row("module's SHA-256", facts.at("module_sha256"));
  for (const char* key : {"manufacturer", "model", "serial", "firmware", "label"})
    out += row("token " + std::string(key), token.at(key));
  out += row("signing", facts.at("signing")) + row("wrap suites", joined(facts.at("suites"))) +
         row("attributes lacking", joined(facts.at("lacking"))) + row("log anchor", facts.at("anchor"));
  return out + "</table>\n";
}

std::string attempt_table(const Json& attempt) {
  std::string out =
      "<table>\n" + row("attempt " + attempt.at("attempt").dump(), attempt.at("outcome")) +
      row("from", text_of_value(attempt.at("began")) + " to " + text_of_value(attempt.at("ended")));
  if (!attempt.at("error").is_null()) out += row("error", attempt.at("error"));
  out += row("witness", attempt.at("initials"));
  const std::string deviation = text_of_value(attempt.at("deviation"));
  out += row("deviation", deviation.empty() ? "none" : deviation);
  if (attempt.at("outputs").is_array())
    for (const Json& output : attempt.at("outputs"))
      out += row("SHA-256 of " + text_of_value(output.at("file")), output.at("sha256"));
  for (const Json& act : attempt.at("acts")) {
    out += row("log entry " + act.at("entry").dump(),
               text_of_value(act.at("kind")) + ", " + text_of_value(act.at("outcome")));
    for (const char* part : {"asked", "result"})
      for (const auto& [key, value] : act.at(part).items())
        if (part != std::string("result") || act.at("asked").value(key, Json()) != value)
          out += row(key, value);
  }
  return out + "</table>\n";
}

std::string steps(const Json& record) {
  std::string out = heading("Steps");
  unsigned number = 0;
  for (const Json& step : record.at("steps")) {
    out += "<div class=\"step\"><h3>" + std::to_string(++number) + ". " +
           html_text(text_of_value(step.at("id"))) + ": " + html_text(text_of_value(step.at("act"))) +
           (step.at("done") == true ? "" : " (not done)") + "</h3>\n<table>\n" +
           row("who acted", step.at("who")) + row("must see", step.at("see"));
    if (!text_of_value(step.at("say")).empty()) out += row("read aloud", step.at("say"));
    out += "</table>\n";
    for (const Json& one : step.at("attempts")) out += attempt_table(one);
    out += "</div>\n";
  }
  return out;
}

std::string summary(const Json& record) {
  const Json &plan = record.at("plan"), &points = record.at("checkpoints");
  std::string out = "<h1>" + html_text(text_of_value(plan.at("title"))) + "</h1>\n<table>\n";
  out += row("ceremony", record.at("ceremony")) + row("plan", plan.at("id")) +
         row("plan's SHA-256", plan.at("sha256")) +
         row("in words", in_words(text_of_value(plan.at("sha256")))) +
         row("officers needed", plan.at("threshold")) +
         row("appliance", text_of_value(record.at("appliance").at("id")) + " (" +
                              text_of_value(record.at("appliance").at("aud")) + ")") +
         row("log key", record.at("appliance").at("log_key")) + row("policy's SHA-256", record.at("policy")) +
         row("began", record.at("began")) + row("ended", record.at("ended"));
  out += log_row("log before", points.at("before")) + log_row("log after", points.at("after"));
  out += row("rehearsal's record", record.at("rehearsal_sha256"));
  if (record.at("comparison").is_array())
    out += row("differs from rehearsal", joined(record.at("comparison")));
  if (!record.at("stand_ins").empty()) out += row("REHEARSAL, stand-ins", joined(record.at("stand_ins")));
  return out + "</table>\n";
}

}  // namespace

std::string make_page(const Json& record) {
  std::string out = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" +
                    html_text(text_of_value(record.at("plan").at("title"))) + "</title><style>" +
                    std::string(kStyle) + "</style></head><body>\n";
  out += summary(record) + approvals(record) + people(record) + environment(record) + steps(record);
  out += heading("The plan as it was signed") + "<pre>" +
         html_text(text_of_value(record.at("plan").at("text"))) + "</pre>\n";
  for (const Json& signature : record.at("signatures"))
    out += "<pre>" + html_text(text_of_value(signature)) + "</pre>\n";
  return out + "</body></html>\n";
}

}  // namespace qpcseal::ceremony
