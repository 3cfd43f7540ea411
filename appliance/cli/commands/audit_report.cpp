// SPDX-License-Identifier: Apache-2.0
// audit report: the log as one page for people to read, print and sign.
#include <algorithm>

#include "appliance/cli/commands/audit_options.h"
#include "appliance/cli/output/audit_page.h"
#include "appliance/cli/output/html.h"
#include "encoding/pgp_words.h"

namespace qpcseal::cli {

namespace {

std::string tile(std::size_t number, std::string_view what) {
  return html::element("div", html::element("b", std::to_string(number)) + std::string(what),
                       "class=\"tile\"");
}

// What of the log the page shows, where it is not all of it.
std::string period(const AuditOptions& options) {
  if (options.since.empty() && options.until.empty()) return "";
  return html::element("p",
                       "Shown are entries" +
                           (options.since.empty() ? "" : " from " + html::text(options.since)) +
                           (options.until.empty() ? "" : " until " + html::text(options.until)) +
                           "; keys, cards and releases of other times are not counted.",
                       "class=\"bad\"") +
         "\n";
}

std::string head(const audit::LogCopy& log, const Story& story, UnixTime made, bool key_given) {
  const auto released = static_cast<std::size_t>(std::ranges::count_if(story.releases, &Verdict::ok));
  const std::string id = encoding::text_or_empty(log.state.genesis, "appliance_id");
  std::string out = html::element("h1", "Audit report of " + html::text(id)) + "\n" +
                    html::element("p",
                                  "Made " + html::text(format_time(made)) + " by qpcseal " +
                                      html::text(software_version()) +
                                      " from a log that verifies: " + std::to_string(log.checkpoint.size) +
                                      " entries, the last of " + html::text(format_time(log.state.last_time)),
                                  "class=\"soft\"") +
                    "\n";
  if (!key_given)
    out += html::element(
               "p",
               "No verification key was given when this page was made: it shows what the log says, not whose "
               "log it is.",
               "class=\"bad\"") +
           "\n";
  if (log.state.genesis.value("insecure_demo", false))
    out += html::element("p", "A demonstration appliance: nobody signed its policy.", "class=\"bad\"") + "\n";
  return out +
         html::element("div",
                       tile(released, released == 1 ? "release of a key" : "releases of keys") +
                           tile(story.releases.size() - released, "denied or failed") +
                           tile(story.cards.size(), "cards") + tile(story.meks.size(), "model keys") +
                           tile(log.state.open.size(), "acts without a result"),
                       "class=\"tiles\"") +
         "\n";
}

std::string checkpoint_lines(const audit::LogCopy& log) {
  std::string words, item;
  std::size_t count = 0;
  for (const char c : encoding::to_words(log.checkpoint.root) + " ") {
    if (c != ' ') {
      item += c;
      continue;
    }
    words += html::element("li", html::element("b", std::to_string(++count)) + html::text(item));
    item.clear();
  }
  return html::element("h2", "Checkpoint") + "\n" +
         html::element(
             "div",
             html::element("p", "Size " + std::to_string(log.checkpoint.size) + ", root " +
                                    html::code(to_hex(log.checkpoint.root))) +
                 html::element("p", "Log key " + html::code(log.key.text())) +
                 html::element("p", "The root as words, to compare with another copy:", "class=\"soft\"") +
                 html::element("ol", words, "class=\"words\""),
             "class=\"box\"") +
         "\n" +
         html::element("p",
                       "Whoever has the log and its first key checks this page's numbers with " +
                           html::code("qpcseal audit verify --log FOLDER --key VKEY") + ".",
                       "class=\"soft\"") +
         "\n";
}

// On paper each page names the log: hex alone, nothing from outside gets into the style.
std::string page_style(const audit::LogCopy& log) {
  return std::string(timeline_style()) + "@page { @bottom-left { content: \"" +
         std::to_string(log.checkpoint.size) + " entries, root " + to_hex(log.checkpoint.root) +
         "\"; font: 7pt monospace; } }\n";
}

Report write_page(const Clock& clock, AuditOptions options) {
  read_period(options);
  const audit::LogCopy log = read_log(options);
  const Story story = read_story(log, options.filter);
  PageFile page(options.output, options.force ? Existing::Replace : Existing::Refuse);
  page.put(html::page_top("Audit report of " + encoding::text_or_empty(log.state.genesis, "appliance_id"),
                          page_style(log)));
  page.put(head(log, story, clock.now(), options.dir.empty() || !options.key.empty()) + period(options));
  put_holdings(page, log, story);
  put_policies(page, log, story);
  put_denials(page, log, story);
  put_cards(page, story);
  put_meks(page, log, story);
  put_ceremonies(page, story);
  page.put(html::element("h2", "The appliance itself") + "\n");
  put_history(page, log, story.site);
  page.put(checkpoint_lines(log));
  put_glossary(page);
  page.put(html::page_end());
  page.commit();
  Report out;
  out.json = {{"file", options.output}, {"size", log.checkpoint.size}, {"releases", story.releases.size()}};
  out.written = {options.output};
  out.log_entry = log.state.size - 1;
  out.text = "wrote " + options.output + ": " + std::to_string(story.releases.size()) +
             " releases and denials, " + std::to_string(story.meks.size()) + " keys, " +
             std::to_string(story.cards.size()) + " cards\n";
  return out;
}

}  // namespace

void add_audit_report(CLI::App& audit, Context& context, const SharedAuditOptions& options) {
  CLI::App* app =
      add_audit_command(audit, context, options, "report", "The log as one HTML page, to read and print",
                        [&context](const AuditOptions& given) { return write_page(context.clock, given); });
  add_log_options(*app, options);
  add_output(*app, options, "The page to write");
  add_period_options(*app, options);
}

}  // namespace qpcseal::cli
