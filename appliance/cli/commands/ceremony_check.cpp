// SPDX-License-Identifier: Apache-2.0
// ceremony check: a record against the log that it was made from. Needs neither token nor home.
#include "appliance/ceremony/record.h"
#include "appliance/ceremony/runner.h"
#include "appliance/cli/commands/audit_options.h"
#include "appliance/cli/output/record_page.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/terminal.h"
#include "encoding/file_kind.h"
#include "encoding/pgp_words.h"

namespace qpcseal::cli {

namespace {

using encoding::Json;

constexpr std::size_t kMaxPage = std::size_t{32} << 20;  // bytes
constexpr std::size_t kMostNamed = 8;                    // members that differ

struct CheckOptions {
  AuditOptions audit;
  std::string page;
};

// What of the record is not as the log has it, for the reader: the first members that differ.
std::string differing_members(const Json& logged, const Json& given) {
  std::string out;
  std::size_t count = 0;
  for (const Json& change : Json::diff(logged, given)) {
    if (++count > kMostNamed) return out + ", and more";
    out += (out.empty() ? "" : ", ") + change.at("path").get<std::string>();
  }
  return out.empty() ? "its layout" : out;
}

void expect_planned_image(const ceremony::Plan& plan, const Json& environment) {
  if (ceremony::has_planned_image(plan, environment)) return;
  const Json& ran = environment.at("image");
  const std::string found = ran.is_string() ? ran.get<std::string>() : "none";
  throw Error(ErrorKind::Denied,
              "the ceremony ran under image " + found + ", and its plan demands " + plan.image, "",
              {{"IMG-RECORD", "image", found, plan.image, "the plan"}});
}

// The record's text, held against the log. Throws where they differ.
Json checked_record(const audit::LogCopy& log, const std::string& text, const std::string& file) {
  const Json record =
      encoding::as_kind(view(text), "a ceremony's record", [&] { return encoding::parse_json(text, file); });
  const Json format = record.is_object() ? record.value("format", Json()) : Json();
  with_context(file, [&] { encoding::refuse_other_kind(view(text), "a ceremony's record"); });
  if (format != ceremony::kRecordFormat)
    throw Error(ErrorKind::Malformed,
                file + " is no record of a ceremony, " + std::string(ceremony::kRecordFormat),
                "'qpcseal inspect' says what a file is; the record is record.json of 'ceremony run'");
  const ceremony::Plan plan = ceremony::parse_plan(
      encoding::text_member(encoding::member(record, "plan"), "text"), file + ", its plan");
  const std::string& id = encoding::text_member(record, "ceremony");
  const auto history = ceremony::find_history(log, plan.sha256, id);
  if (!history)
    throw Error(ErrorKind::Denied, "the log has no ceremony of this record's plan, " + plan.sha256,
                record.value("demonstration", Json()) == true
                    ? "it is the record of a rehearsal, or of another appliance"
                    : "it may be the record of another appliance");
  if (!history->end)
    throw Error(ErrorKind::Denied, "the ceremony has not ended in this log",
                "a later copy of the log has its end");
  const std::string made = ceremony::report(log, plan, id).record;
  if (made != text)
    throw Error(ErrorKind::Denied,
                file + " is not the record of this ceremony: it differs from the log in " +
                    differing_members(encoding::parse_json(made, "the log's record"), record),
                "'qpcseal ceremony report' makes the record again from the log");
  expect_planned_image(plan, encoding::member(record, "environment"));
  return record;
}

void check_page(const std::string& page, const std::string& text) {
  if (text_view(read_file(page, kMaxPage)) != make_record_page(text))
    throw Error(ErrorKind::Denied, page + " is not the page of this record",
                "a page of another version of qpcseal differs too; 'qpcseal ceremony report' makes it again");
}

Report check_record(const CheckOptions& options) {
  const std::string& file = options.audit.file;
  const std::string text = read_text_file(file, ceremony::kMaxRecord);
  const audit::LogCopy log = read_log(options.audit);
  const Json record = checked_record(log, text, file);
  if (!options.page.empty()) check_page(options.page, text);
  const std::string digest = sha256_hex(text);
  const Json& outcome = record.at("outcome");
  Report report;
  report.json = {{"verified", true},
                 {"ceremony", record.at("ceremony").get<std::string>()},
                 {"title", record.at("plan").at("title").get<std::string>()},
                 {"outcome", outcome.at("result").get<std::string>()},
                 {"began", record.at("began").get<std::string>()},
                 {"ended", record.at("ended").get<std::string>()},
                 {"image", record.at("environment").at("image")},
                 {"record_sha256", digest},
                 {"page_checked", !options.page.empty()},
                 {"size", log.checkpoint.size},
                 {"root", to_hex(log.checkpoint.root)}};
  const auto shown = [](const Json& value) { return printable(value.get<std::string>()); };
  std::string steps = outcome.at("steps_done").dump() + " of " + outcome.at("steps").dump() + " steps";
  report.text = "the record is the one that the log has\n" +
                table({{"ceremony", shown(record.at("plan").at("title"))},
                       {"outcome", shown(outcome.at("result")) + ", " + steps},
                       {"began", shown(record.at("began"))},
                       {"ended", shown(record.at("ended"))},
                       {"log", std::to_string(log.checkpoint.size) + " entries, key " + log.key.name()},
                       {"SHA-256", digest}},
                      Head::No) +
                encoding::word_lines(from_hex(digest), "  ", text_columns());
  if (outcome.at("why").is_string()) report.text += "abandoned because: " + shown(outcome.at("why")) + "\n";
  if (!options.page.empty()) report.text += "the page is the page of this record\n";
  return report;
}

}  // namespace

void add_ceremony_check(CLI::App& ceremony, Context& context) {
  const auto options = std::make_shared<CheckOptions>();
  CLI::App* app = ceremony.add_subcommand("check", "Hold a record against a copy of the log");
  app->add_option("RECORD", options->audit.file, "The ceremony's record.json")->required();
  app->add_option("--log", options->audit.dir, "The log's folder, or a copy (default: this appliance's)");
  app->add_option("--key", options->audit.key, "The log's first verification key: name+id+key");
  app->add_option("--page", options->page, "The record's page, record.html: whether it says the same");
  add_output_options(*app, context);
  app->callback([&context, options] { context.command = [options] { return check_record(*options); }; });
}

}  // namespace qpcseal::cli
