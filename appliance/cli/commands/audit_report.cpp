// SPDX-License-Identifier: Apache-2.0
// audit report: the log as one page for people to read, print and sign.
#include <algorithm>

#include "appliance/cli/commands/audit_options.h"
#include "appliance/cli/output/audit_story.h"
#include "appliance/cli/output/html.h"
#include "base/file.h"
#include "encoding/pgp_words.h"

namespace qpcseal::cli {

namespace {

using audit::Entry;
using encoding::Json;
using Rows = std::vector<std::vector<std::string>>;

std::string time_of(UnixTime time) {
  return html::element("span", html::text(format_time(time)), "style=\"white-space:nowrap\"");
}

std::string release_verdict(const Entry& entry) {
  const std::string outcome = entry.outcome.empty() ? std::string("denied") : entry.outcome;
  return html::element("span", outcome == "ok" ? "released" : html::text(outcome),
                       outcome == "ok" ? "class=\"good\"" : "class=\"bad\"");
}

// The page while it is written.
class PageFile {
 public:
  PageFile(const std::string& path, Existing existing) : file_(path, existing) {}
  void put(std::string_view html) {
    constexpr std::size_t kPiece = std::size_t{1} << 18;  // bytes
    buffer_ += html;
    if (buffer_.size() >= kPiece) flush();
  }
  void commit() {
    flush();
    file_.commit();
  }

 private:
  void flush() {
    write_exact(file_.fd(), view(buffer_), at_);
    at_ += buffer_.size();
    buffer_.clear();
  }

  AtomicFile file_;
  std::string buffer_;
  std::uint64_t at_ = 0;
};

std::string none(std::string_view text) { return html::element("p", text, "class=\"soft\"") + "\n"; }

std::string tile(std::size_t number, std::string_view what) {
  return html::element("div", html::element("b", std::to_string(number)) + std::string(what),
                       "class=\"tile\"");
}

std::string head(const audit::LogCopy& log, const Story& story) {
  const auto released = static_cast<std::size_t>(std::ranges::count_if(story.releases, &Verdict::ok));
  const std::string id = text_at(log.state.genesis, "appliance_id");
  return html::element("h1", "Audit report of " + html::text(id)) + "\n" +
         html::element("p",
                       std::to_string(log.checkpoint.size) + " entries, the last of " +
                           html::text(format_time(log.state.last_time)) +
                           ", verified and written by qpcseal " + html::text(software_version()),
                       "class=\"soft\"") +
         "\n" +
         html::element("div",
                       tile(released, "keys released") +
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

// At most so many columns, each a whole number of days.
std::vector<html::Column> columns_of(const std::vector<Verdict>& releases) {
  constexpr UnixTime kDay = 86400;
  constexpr std::size_t kMost = 60, kDate = 10;  // columns; "2026-11-24"
  if (releases.empty()) return {};
  const auto [least, most] = std::ranges::minmax(releases, {}, &Verdict::time);
  const UnixTime first = least.time / kDay, last = most.time / kDay;
  const UnixTime step = ((last - first) / static_cast<UnixTime>(kMost)) + 1;
  std::vector<html::Column> out;
  for (UnixTime day = first; day <= last; day += step)
    out.push_back({format_time(day * kDay).substr(0, kDate), 0, 0});
  for (const Verdict& verdict : releases) {
    html::Column& column = out[static_cast<std::size_t>(((verdict.time / kDay) - first) / step)];
    ++(verdict.ok ? column.good : column.bad);
  }
  return out;
}

void put_releases(PageFile& page, const audit::LogCopy& log, const Story& story) {
  page.put(html::element("h2", "Releases") + "\n");
  if (story.releases.empty()) return page.put(none("No key was released."));
  page.put(
      html::element("figure",
                    html::columns(columns_of(story.releases)) +
                        html::element("figcaption",
                                      "By day." + html::element("span", "released", "class=\"key good\"") +
                                          html::element("span", "denied or failed", "class=\"key bad\""))) +
      "\n");
  page.put(html::table_top({"Entry", "Time", "Verdict", "Model key", "Card", "Suite"}));
  for (const Verdict& verdict : story.releases) {
    const Entry entry = told(log, verdict.seq);
    page.put(html::table_row({std::to_string(entry.seq), time_of(entry.time), release_verdict(entry),
                              entry_mek(entry), html::code(text_at(entry.data, "ueid")),
                              html::text(text_at(entry.data, "suite"))}));
  }
  page.put(html::table_end());
}

std::string reasons_of(const Entry& entry) {
  Rows rows;
  const auto findings = entry.data.find("findings");
  if (findings != entry.data.end() && findings->is_array())
    for (const Json& finding : *findings)
      rows.push_back({html::code(text_at(finding, "id")), html::text(text_at(finding, "claim")),
                      html::code(text_at(finding, "observed")), html::code(text_at(finding, "expected")),
                      html::text(text_at(finding, "rule"))});
  const std::string why = text_at(entry.data, "error");
  return html::table({"Finding", "Claim", "Was", "Had to be", "Rule"}, rows,
                     why.empty() ? "Another report of the same transaction was denied." : html::text(why));
}

void put_denials(PageFile& page, const audit::LogCopy& log, const Story& story) {
  page.put(html::element("h2", "Denials and failures") + "\n");
  for (const Verdict& verdict : story.releases) {
    if (verdict.ok) continue;
    const Entry entry = told(log, verdict.seq);
    const std::string card = text_at(entry.data, "ueid");
    page.put(html::element("h3", "Entry " + std::to_string(entry.seq) + ", " +
                                     html::text(format_time(entry.time)) + ": " + entry_mek(entry) +
                                     (card.empty() ? "" : " to card " + html::code(card))) +
             "\n" + reasons_of(entry));
  }
  if (std::ranges::all_of(story.releases, &Verdict::ok)) page.put(none("None."));
}

std::string about(const Entry& entry) {
  if (entry.phase == audit::Phase::Wrapped) return html::text(entry.kind + " (wrapped)");
  const std::string outcome = entry.outcome.empty() || was_ok(entry) ? "" : " (" + entry.outcome + ")";
  return html::text(entry.kind + outcome);
}

void put_history(PageFile& page, const audit::LogCopy& log, const Seqs& entries) {
  if (entries.empty()) return page.put(none("Nothing."));
  page.put(html::table_top({"Entry", "Time", "What", "Of what"}));
  for (const std::uint64_t seq : entries) {
    const Entry entry = told(log, seq);
    page.put(html::table_row(
        {std::to_string(seq), time_of(entry.time), about(entry), html::text(entry_subject(entry))}));
  }
  page.put(html::table_end());
}

void put_meks(PageFile& page, const audit::LogCopy& log, const Story& story) {
  page.put(html::element("h2", "Model keys") + "\n");
  for (const auto& [id, entries] : story.meks) {
    const auto known = log.state.meks.find(from_hex(id));
    const std::string label = known == log.state.meks.end() ? "unknown" : known->second.label;
    page.put(html::element("h3", html::text(label)) + "\n" + html::element("p", "Id " + html::code(id)));
    if (known != log.state.meks.end())
      page.put(html::element("p", "Made " + html::text(format_time(known->second.created)) + ", state " +
                                      html::text(known->second.state) + ", " +
                                      std::to_string(known->second.releases) + " releases, " +
                                      std::to_string(known->second.encryptions) + " encryptions"));
    page.put("\n");
    put_history(page, log, entries);
  }
  if (story.meks.empty()) page.put(none("None."));
}

std::string with_commas(std::string keys) {
  for (std::size_t at = keys.find('|'); at != std::string::npos; at = keys.find('|', at))
    keys.replace(at, 1, ", ");
  return keys;
}

void put_cards(PageFile& page, const Story& story) {
  page.put(html::element("h2", "Cards") + "\n");
  if (story.cards.empty()) return page.put(none("No card was seen."));
  page.put(html::table_top({"Card", "Released", "Denied", "Keys it got", "First", "Last"}));
  for (const auto& [ueid, card] : story.cards)
    page.put(html::table_row({html::code(ueid), std::to_string(card.released), std::to_string(card.denied),
                              with_commas(card.keys), time_of(card.first), time_of(card.last)}));
  page.put(html::table_end());
}

Report write_page(AuditOptions options) {
  if (!options.since.empty()) options.filter.since = parse_time(options.since);
  if (!options.until.empty()) options.filter.until = parse_time(options.until);
  const audit::LogCopy log = read_log(options);
  const Story story = read_story(log, options.filter);
  PageFile page(options.output, options.force ? Existing::Replace : Existing::Refuse);
  page.put(html::page_top("Audit report of " + text_at(log.state.genesis, "appliance_id")));
  page.put(head(log, story) + checkpoint_lines(log));
  put_releases(page, log, story);
  put_denials(page, log, story);
  put_cards(page, story);
  put_meks(page, log, story);
  page.put(html::element("h2", "The appliance itself") + "\n");
  put_history(page, log, story.site);
  page.put(html::page_end());
  page.commit();
  Report out;
  out.json = {{"file", options.output}, {"size", log.checkpoint.size}, {"releases", story.releases.size()}};
  out.text = "wrote " + options.output + ": " + std::to_string(story.releases.size()) +
             " releases and denials, " + std::to_string(story.meks.size()) + " keys, " +
             std::to_string(story.cards.size()) + " cards\n";
  return out;
}

}  // namespace

void add_audit_report(CLI::App& audit, Context& context, const SharedAuditOptions& options) {
  CLI::App* app = add_audit_command(audit, context, options, "report",
                                    "The log as one HTML page, to read and print", write_page);
  add_log_options(*app, options);
  add_output(*app, options, "The page to write");
  app->add_option("--since", options->since, "Not before this time (2026-11-24T08:30:00Z)");
  app->add_option("--until", options->until, "Not after this time");
}

}  // namespace qpcseal::cli
