// audit report: the log as one page for people to read, print and sign.
#include <algorithm>
#include <map>

#include "appliance/audit/words.h"
#include "appliance/cli/audit_options.h"
#include "appliance/cli/html.h"

namespace qpcseal::cli {

namespace {

using audit::Entry;
using audit::Json;
using audit::Phase;
using Rows = std::vector<std::vector<std::string>>;

// What the page tells of, gathered in one pass over the entries.
struct Story {
  std::vector<Entry> releases;                      // results, and denials that had no intent
  std::vector<Entry> site;                          // genesis, policies, trust, keys, witnesses, recoveries
  std::map<std::string, std::vector<Entry>> meks;   // by id: everything that names it, but challenges
  std::map<std::string, std::vector<Entry>> cards;  // by ueid: results of releases
};

std::string text_at(const Json& data, const char* key) {
  const auto found = data.find(key);
  return found != data.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool is_release(const Entry& entry) {
  return (entry.kind == "release" && entry.phase == Phase::Result) || entry.kind == "denied";
}

bool is_site(const Entry& entry) {
  static constexpr std::string_view kKinds[] = {
      "genesis",     "genesis-accepted", "policy",       "trust",      "officers",
      "rejection",   "recovery",         "recovery-key", "pin-change", "rotate-key",
      "witness-key", "witness",          "ceremony",     "site",       "anchor-accept",
      "clock",       "clock-correct"};
  return std::ranges::find(kKinds, entry.kind) != std::end(kKinds) && entry.phase != Phase::Intent;
}

// Some entries name a key by its id alone.
void add_label(const audit::State& state, Json& data) {
  constexpr std::size_t kId = 16;  // bytes
  const std::string id = text_at(data, "mek_id");
  if (data.contains("mek") || !audit::is_hex(id, kId)) return;
  const auto known = state.meks.find(from_hex(id));
  if (known != state.meks.end()) data["mek"] = known->second.label;
}

Story read_story(const audit::LogCopy& log, const EntryFilter& filter) {
  Story story;
  Joined joined;
  for (std::uint64_t seq = 0; seq < log.checkpoint.size; ++seq) {
    Entry entry = joined.next(audit::parse_entry(log.line(seq)));
    if (entry.phase == Phase::Intent || !filter.keeps(entry, log.state.meks)) continue;
    add_label(log.state, entry.data);
    const std::string mek = text_at(entry.data, "mek_id"), card = text_at(entry.data, "ueid");
    if (!mek.empty() && entry.kind != "challenge") story.meks[mek].push_back(entry);
    if (!card.empty() && is_release(entry)) story.cards[card].push_back(entry);
    if (is_site(entry)) story.site.push_back(entry);
    if (is_release(entry)) story.releases.push_back(std::move(entry));
  }
  return story;
}

std::string time_of(const Entry& entry) {
  return html::element("span", html::text(format_time(entry.time)), "style=\"white-space:nowrap\"");
}

std::string verdict_of(const Entry& entry) {
  const std::string outcome = entry.outcome.empty() ? std::string("denied") : entry.outcome;
  return html::element("span", outcome == "ok" ? "released" : html::text(outcome),
                       outcome == "ok" ? "class=\"good\"" : "class=\"bad\"");
}

std::string mek_of(const Entry& entry) {
  const std::string label = text_at(entry.data, "mek");
  return label.empty() ? html::code(text_at(entry.data, "mek_id")) : html::text(label);
}

bool was_ok(const Entry& entry) { return entry.outcome == "ok"; }

std::string tile(std::size_t number, std::string_view what) {
  return html::element("div", html::element("b", std::to_string(number)) + std::string(what),
                       "class=\"tile\"");
}

std::string head(const audit::LogCopy& log, const Story& story) {
  const auto released = static_cast<std::size_t>(std::ranges::count_if(story.releases, was_ok));
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

std::string checkpoint(const audit::LogCopy& log) {
  std::string words, item;
  std::size_t count = 0;
  for (const char c : audit::words_of(log.checkpoint.root) + " ") {
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
std::vector<html::Column> columns_of(const std::vector<Entry>& releases) {
  constexpr UnixTime kDay = 86400;
  constexpr std::size_t kMost = 60, kDate = 10;  // columns; "2026-11-24"
  if (releases.empty()) return {};
  const UnixTime first = releases.front().time / kDay, last = releases.back().time / kDay;
  const UnixTime step = ((last - first) / static_cast<UnixTime>(kMost)) + 1;
  std::vector<html::Column> out;
  for (UnixTime day = first; day <= last; day += step)
    out.push_back({format_time(day * kDay).substr(0, kDate), 0, 0});
  for (const Entry& entry : releases) {
    html::Column& column = out[static_cast<std::size_t>(((entry.time / kDay) - first) / step)];
    ++(was_ok(entry) ? column.good : column.bad);
  }
  return out;
}

std::string releases(const Story& story) {
  Rows rows;
  for (const Entry& entry : story.releases)
    rows.push_back({std::to_string(entry.seq), time_of(entry), verdict_of(entry), mek_of(entry),
                    html::code(text_at(entry.data, "ueid")), html::text(text_at(entry.data, "suite"))});
  std::string out = html::element("h2", "Releases") + "\n";
  if (!rows.empty())
    out +=
        html::element("figure",
                      html::columns(columns_of(story.releases)) +
                          html::element("figcaption",
                                        "By day." + html::element("span", "released", "class=\"key good\"") +
                                            html::element("span", "denied or failed", "class=\"key bad\""))) +
        "\n";
  return out + html::table({"Entry", "Time", "Verdict", "Model key", "Card", "Suite"}, rows,
                           "No key was released.");
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

std::string denials(const Story& story) {
  std::string out = html::element("h2", "Denials and failures") + "\n";
  bool any = false;
  for (const Entry& entry : story.releases) {
    if (was_ok(entry)) continue;
    any = true;
    const std::string card = text_at(entry.data, "ueid");
    out += html::element("h3", "Entry " + std::to_string(entry.seq) + ", " +
                                   html::text(format_time(entry.time)) + ": " + mek_of(entry) +
                                   (card.empty() ? "" : " to card " + html::code(card))) +
           "\n" + reasons_of(entry);
  }
  return any ? out : out + html::element("p", "None.", "class=\"soft\"") + "\n";
}

std::string about(const Entry& entry) {
  const std::string outcome = entry.outcome.empty() || was_ok(entry) ? "" : " (" + entry.outcome + ")";
  return html::text(entry.kind + outcome);
}

std::string history(const std::vector<Entry>& entries) {
  Rows rows;
  for (const Entry& entry : entries)
    rows.push_back({std::to_string(entry.seq), time_of(entry), about(entry), html::text(subject_of(entry))});
  return html::table({"Entry", "Time", "What", "Of what"}, rows, "Nothing.");
}

std::string meks(const audit::LogCopy& log, const Story& story) {
  std::string out = html::element("h2", "Model keys") + "\n";
  for (const auto& [id, entries] : story.meks) {
    const auto known = log.state.meks.find(from_hex(id));
    const std::string label = known == log.state.meks.end() ? "unknown" : known->second.label;
    out += html::element("h3", html::text(label)) + "\n" + html::element("p", "Id " + html::code(id));
    if (known != log.state.meks.end())
      out += html::element("p", "Made " + html::text(format_time(known->second.created)) + ", state " +
                                    html::text(known->second.state) + ", " +
                                    std::to_string(known->second.releases) + " releases, " +
                                    std::to_string(known->second.encryptions) + " encryptions");
    out += "\n" + history(entries);
  }
  return story.meks.empty() ? out + html::element("p", "None.", "class=\"soft\"") + "\n" : out;
}

std::string cards(const Story& story) {
  Rows rows;
  for (const auto& [ueid, entries] : story.cards) {
    const auto good = std::ranges::count_if(entries, was_ok);
    std::string keys, seen;
    for (const Entry& entry : entries) {
      const std::string one = mek_of(entry);
      if (!was_ok(entry) || seen.find("|" + one + "|") != std::string::npos) continue;
      seen += "|" + one + "|";
      keys += (keys.empty() ? "" : ", ") + one;
    }
    rows.push_back({html::code(ueid), std::to_string(good),
                    std::to_string(static_cast<std::ptrdiff_t>(entries.size()) - good), keys,
                    time_of(entries.front()), time_of(entries.back())});
  }
  return html::element("h2", "Cards") + "\n" +
         html::table({"Card", "Released", "Denied", "Keys it got", "First", "Last"}, rows,
                     "No card was seen.");
}

Report report(AuditOptions options) {
  if (!options.since.empty()) options.filter.since = parse_time(options.since);
  if (!options.until.empty()) options.filter.until = parse_time(options.until);
  const audit::LogCopy log = read_log(options);
  const Story story = read_story(log, options.filter);
  const std::string body = head(log, story) + checkpoint(log) + releases(story) + denials(story) +
                           cards(story) + meks(log, story) + html::element("h2", "The appliance itself") +
                           "\n" + history(story.site);
  write_output(options, html::page("Audit report of " + text_at(log.state.genesis, "appliance_id"), body));
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
                                    "The log as one HTML page, to read and print", report);
  add_log_options(*app, options);
  add_output(*app, options, "The page to write");
  app->add_option("--since", options->since, "Not before this time (2026-11-24T08:30:00Z)");
  app->add_option("--until", options->until, "Not after this time");
}

}  // namespace qpcseal::cli
