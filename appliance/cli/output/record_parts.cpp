// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/record_parts.h"

#include "appliance/cli/output/html.h"
#include "base/clock.h"
#include "encoding/pgp_words.h"

namespace qpcseal::cli::record {

using encoding::Json;

namespace {

// Digests, ids and fingerprints are compared sign by sign: in a face in which no two look alike.
bool is_code(const std::string& text) {
  constexpr std::size_t kShortest = 16;
  const bool is_time = text.ends_with('Z') && text.find('T') == 10;
  return text.size() >= kShortest && !is_time && text.find_first_of(" \n,") == std::string::npos &&
         text.find_first_of("0123456789") != std::string::npos;
}

std::string cell(const std::string& text) { return is_code(text) ? html::code(text) : html::text(text); }

}  // namespace

std::string said(const Json& value) {
  if (value.is_null()) return "none";
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_structured()) return value.dump();
  std::string out;
  for (const auto& [name, item] : value.items())
    out += (out.empty() ? "" : ", ") + (value.is_object() ? name + " = " : "") + said(item);
  return out.empty() ? "none" : out;
}

std::string heading(std::string_view text) { return html::element("h2", html::text(text)) + "\n"; }

std::string paragraph(std::string_view text) { return html::element("p", html::text(text)) + "\n"; }

Facts& Facts::add(const std::string& name, const Json& value) {
  rows_ +=
      html::element("tr", html::element("th", html::text(name)) + html::element("td", cell(said(value)))) +
      "\n";
  return *this;
}

std::string Facts::table() const { return html::element("table", rows_, "class=\"facts\"") + "\n"; }

std::string digest_words(const std::string& sha256) {
  constexpr std::size_t kPageColumns = 120;  // of a page; its browser breaks lines
  std::string out = encoding::word_lines(from_hex(sha256), "", kPageColumns);
  if (!out.empty()) out.pop_back();
  return out;
}

namespace {

std::string attempt_table(const Json& attempt) {
  Facts out;
  out.add("attempt " + said(attempt.at("attempt")), attempt.at("outcome"))
      .add("from", said(attempt.at("began")) + " to " + said(attempt.at("ended")));
  if (!attempt.at("error").is_null()) out.add("error", attempt.at("error"));
  if (!attempt.at("initials").is_null()) out.add("confirmed by the witness", attempt.at("initials"));
  if (attempt.at("deviation").is_string())
    out.add("deviation", attempt.at("deviation").get<std::string>().empty()
                             ? Json("none: it was seen as the plan says")
                             : attempt.at("deviation"));
  if (attempt.at("outputs").is_array())
    for (const Json& output : attempt.at("outputs")) {
      out.add("SHA-256 of " + said(output.at("file")), output.at("sha256"));
      if (!output.contains("root")) continue;
      out.add("size of the log", output.at("size")).add("its root", output.at("root"));
      out.add("the root in words", digest_words(said(output.at("root"))));
    }
  for (const Json& act : attempt.at("acts")) {
    out.add("log entry " + said(act.at("entry")), said(act.at("kind")) + ", " + said(act.at("outcome")));
    for (const char* part : {"asked", "result"})
      for (const auto& [key, value] : act.at(part).items())
        if (part != std::string("result") || act.at("asked").value(key, Json()) != value)
          out.add(key, key == "expires" && value.is_number_unsigned()
                           ? Json(format_time(value.get<UnixTime>()))
                           : value);
  }
  return out.table();
}

}  // namespace

std::string identities(const Json& record) {
  const Json &plan = record.at("plan"), &points = record.at("checkpoints");
  const auto point = [&](const char* which) {
    return said(points.at(which).at("size")) + " entries, root\n" + said(points.at(which).at("root"));
  };
  return heading("What this record is about") +
         Facts()
             .add("ceremony", record.at("ceremony"))
             .add("appliance",
                  said(record.at("appliance").at("id")) + " (" + said(record.at("appliance").at("aud")) + ")")
             .add("log key", record.at("appliance").at("log_key"))
             .add("log before", point("before"))
             .add("log after", point("after"))
             .add("plan's SHA-256", plan.at("sha256"))
             .add("in words", digest_words(said(plan.at("sha256"))))
             .add("policy's SHA-256", record.at("policy"))
             .add("rehearsal's record", record.at("rehearsal_sha256"))
             .table();
}

std::string machine(const Json& record) {
  const Json &facts = record.at("environment"), &token = facts.at("token");
  Facts out;
  out.add("image", facts.at("image"));
  if (facts.at("image").is_string()) out.add("in words", digest_words(said(facts.at("image"))));
  out.add("system", facts.at("os"))
      .add("software", facts.at("software"))
      .add("program's SHA-256", facts.at("binary_sha256"))
      .add("module", facts.at("module"))
      .add("module's SHA-256", facts.at("module_sha256"));
  for (const char* key : {"manufacturer", "model", "serial", "firmware", "label"})
    out.add("token " + std::string(key), token.at(key));
  out.add("signing", facts.at("signing"))
      .add("wrap suites", facts.at("suites"))
      .add("attributes lacking", facts.at("lacking"))
      .add("log anchor", facts.at("anchor") == true ? "yes" : "no");
  return heading("Machine and token") + out.table();
}

std::string steps_in_detail(const Json& record) {
  std::string out = heading("Steps in detail");
  unsigned number = 0;
  for (const Json& step : record.at("steps")) {
    out += html::element("h3", std::to_string(++number) + ". " +
                                   html::text(said(step.at("id")) + ": " + said(step.at("act")))) +
           "\n";
    Facts facts;
    facts.add("who acts, by plan", step.at("who")).add("must see, by plan", step.at("see"));
    if (!step.at("say").get<std::string>().empty()) facts.add("read aloud", step.at("say"));
    for (const auto& [name, value] : step.at("arguments").items()) facts.add(name, value);
    out += facts.table();
    for (const Json& attempt : step.at("attempts")) out += attempt_table(attempt);
    if (step.at("attempts").empty()) out += paragraph("It was not begun.");
  }
  return out;
}

std::string plan_text(const Json& record) {
  std::string out = heading("The plan as it was signed") +
                    html::element("pre", html::text(said(record.at("plan").at("text")))) + "\n";
  for (const Json& signature : record.at("signatures"))
    out += html::element("pre", html::text(said(signature))) + "\n";
  return out;
}

}  // namespace qpcseal::cli::record
