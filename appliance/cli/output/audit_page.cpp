// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/audit_page.h"

#include <algorithm>

#include "appliance/cli/output/html.h"

namespace qpcseal::cli {

namespace {

using audit::Entry;
using encoding::Json;
using encoding::text_or_empty;
using Words = std::vector<std::string>;

constexpr std::size_t kFold = 5;  // of one kind; more stand in one row that opens

std::string nowrap(const std::string& text) {
  return html::element("span", html::text(text), "style=\"white-space:nowrap\"");
}

std::string when(UnixTime time) { return nowrap(format_time(time)); }

std::string times(UnixTime first, UnixTime last) {
  return first == last ? when(first) : when(first) + " to " + when(last);
}

std::string soft(std::string_view text) { return html::element("p", text, "class=\"soft\"") + "\n"; }

std::string section(std::string_view name) { return html::element("h2", name) + "\n"; }

std::string joined(const std::set<std::string>& all) { return join({all.begin(), all.end()}); }

std::string serials(const std::set<std::uint64_t>& all) {
  std::string out;
  for (const std::uint64_t serial : all) out += (out.empty() ? "serial " : ", ") + std::to_string(serial);
  return out;
}

std::string allowed(const std::set<std::string>& names) {
  return names.empty() ? html::element("span", "the policy alone", "class=\"soft\"")
                       : html::text(joined(names));
}

std::string verdict_word(const Entry& entry) {
  const std::string outcome = entry.outcome.empty() ? entry.kind : entry.outcome;
  return html::element("span", outcome == "ok" ? "released" : html::text(outcome),
                       outcome == "ok" ? "class=\"good\"" : "class=\"bad\"");
}

// At most so many columns, each a whole number of days, or of hours where the span is short.
std::vector<html::Column> columns_of(const std::vector<Verdict>& releases) {
  constexpr UnixTime kHour = 3600, kDay = 86400, kShort = 3 * kDay;
  constexpr std::size_t kMost = 60;  // columns
  const auto [least, most] = std::ranges::minmax(releases, {}, &Verdict::time);
  const UnixTime unit = most.time - least.time < kShort ? kHour : kDay;
  const UnixTime first = least.time / unit, last = most.time / unit;
  const UnixTime step = ((last - first) / static_cast<UnixTime>(kMost)) + 1;
  std::vector<html::Column> out;
  for (UnixTime at = first; at <= last; at += step)
    out.push_back({short_time(at * unit, unit == kHour ? 0 : kShort), 0, 0});
  for (const Verdict& verdict : releases) {
    html::Column& column = out[static_cast<std::size_t>(((verdict.time / unit) - first) / step)];
    ++(verdict.ok ? column.good : column.bad);
  }
  return out;
}

std::string picture(const std::vector<Verdict>& releases) {
  return html::element(
             "figure",
             html::columns(columns_of(releases)) +
                 html::element("figcaption",
                               "Over time." + html::element("span", "released", "class=\"key good\"") +
                                   html::element("span", "denied or failed", "class=\"key bad\""))) +
         "\n";
}

void put_each_release(PageFile& page, const audit::LogCopy& log, const Story& story) {
  const Words head{"Entry", "Time", "Verdict", "Model key", "Card", "Host", "Suite", "Policy"};
  page.put("<details><summary>Each release and denial, " + std::to_string(story.releases.size()) +
           "</summary>\n" + html::table_top(head));
  for (const Verdict& verdict : story.releases) {
    const Entry entry = told(log, verdict.seq);
    const auto policy = entry.data.find("policy");
    const bool known = policy != entry.data.end() && policy->is_object() && policy->contains("serial");
    page.put(html::table_row(
        head, {std::to_string(entry.seq), when(entry.time), verdict_word(entry), html::text(entry_mek(entry)),
               html::code(text_or_empty(entry.data, "ueid")), html::text(entry_host(log.state, entry)),
               html::text(text_or_empty(entry.data, "suite")), known ? policy->at("serial").dump() : ""}));
  }
  page.put(html::table_end() + "</details>\n");
}

// What happened, and what came of it.
std::string about(const Entry& entry) {
  if (entry.phase == audit::Phase::Wrapped)
    return entry.kind + (entry.data.contains("exposed") ? " (exposed)" : " (wrapped)");
  return entry.kind + (entry.outcome.empty() || was_ok(entry) ? "" : " (" + entry.outcome + ")");
}

Words history_row(const Entry& entry) {
  return {std::to_string(entry.seq), when(entry.time), html::text(about(entry)),
          html::text(entry_subject(entry))};
}

std::string observed(const Json& finding) {
  return html::code(text_or_empty(finding, "id")) + " " + html::text(text_or_empty(finding, "claim")) +
         ": was " + html::code(text_or_empty(finding, "observed")) + ", had to be " +
         html::code(text_or_empty(finding, "expected")) +
         (text_or_empty(finding, "rule").empty() ? ""
                                                 : " (" + html::text(text_or_empty(finding, "rule")) + ")");
}

// The findings of one entry, a line each.
std::string findings_lines(const Entry& entry) {
  std::string out;
  const auto findings = entry.data.find("findings");
  if (findings == entry.data.end() || !findings->is_array())
    return html::text(text_or_empty(entry.data, "error"));
  for (const Json& finding : *findings) out += html::element("div", observed(finding));
  return out;
}

std::string counted(std::uint64_t number, const std::string& what) {
  return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

// A key's state and counts.
std::string key_facts(const audit::MekHistory& mek) {
  std::string out = "Made " + html::text(format_time(mek.created)) + ", state " + html::text(mek.state) +
                    ", " + counted(mek.releases, "release") + ", " + counted(mek.encryptions, "encryption");
  if (mek.exposures > 0)
    out += ", " + html::element("b", "exposed to the vendor's tool " + std::to_string(mek.exposures) +
                                         " times since " + html::text(format_time(mek.exposed_since)));
  return html::element("p", out);
}

}  // namespace

void PageFile::put(std::string_view html) {
  constexpr std::size_t kPiece = std::size_t{1} << 18;  // bytes
  buffer_ += html;
  if (buffer_.size() >= kPiece) flush();
}

void PageFile::commit() {
  flush();
  file_.commit();
}

void PageFile::flush() {
  write_exact(file_.fd(), view(buffer_), at_);
  at_ += buffer_.size();
  buffer_.clear();
}

void put_holdings(PageFile& page, const audit::LogCopy& log, const Story& story) {
  page.put(section("Who released what to which card"));
  if (story.holdings.empty()) page.put(soft("No key was released."));
  if (!story.holdings.empty()) {
    const Words head{"Model key", "Card", "Class", "Host", "Releases", "When", "Allowed by", "Policy"};
    page.put(html::table_top(head));
    for (const auto& [what, holding] : story.holdings)
      page.put(html::table_row(head, {html::text(what.first), html::code(what.second),
                                      html::text(holding.device_class), html::text(holding.host),
                                      std::to_string(holding.releases), times(holding.first, holding.last),
                                      allowed(holding.allowed_by), html::text(serials(holding.policies))}));
    page.put(html::table_end());
  }
  if (story.releases.empty()) return;
  page.put(picture(story.releases));
  put_each_release(page, log, story);
}

void put_policies(PageFile& page, const audit::LogCopy& /*log*/, const Story& story) {
  const Words head{"Serial", "In force from", "Entry", "SHA-256", "Signed by"};
  page.put(section("Policies"));
  page.put(html::table_top(head));
  for (const PolicyInForce& policy : story.policies)
    page.put(html::table_row(
        head, {std::to_string(policy.serial), when(policy.since), std::to_string(policy.seq),
               html::code(policy.digest),
               policy.signers.empty() ? html::element("span", "nobody: a demonstration", "class=\"bad\"")
                                      : html::text(policy.signers)}));
  page.put(html::table_end());
}

void put_denials(PageFile& page, const audit::LogCopy& log, const Story& story) {
  const Words head{"Reason", "How often", "Cards", "Last"},
      inner{"Entry", "Time", "Model key", "Card", "Why"};
  page.put(section("Denials and failures, by reason"));
  if (story.reasons.empty()) return page.put(soft("None."));
  page.put(html::table_top(head));
  for (const auto& [reason, all] : story.reasons) {
    const Entry last = told(log, all.entries.back());
    page.put(html::table_row(head, {html::code(reason), std::to_string(all.entries.size()),
                                    std::to_string(all.cards.size()), when(last.time)}));
    std::string rows;
    for (const std::uint64_t seq : all.entries) {
      const Entry entry = told(log, seq);
      rows += html::table_row(inner, {std::to_string(seq), when(entry.time), html::text(entry_mek(entry)),
                                      html::code(text_or_empty(entry.data, "ueid")), findings_lines(entry)});
    }
    page.put(html::folded_row(head.size(), "Entries: " + findings_lines(last),
                              html::table_top(inner) + rows + html::table_end()));
  }
  page.put(html::table_end());
}

void put_cards(PageFile& page, const Story& story) {
  const Words head{"Card", "Released", "Denied", "Keys it got", "First", "Last"};
  page.put(section("Cards"));
  if (story.cards.empty()) return page.put(soft("No card was seen."));
  page.put(html::table_top(head));
  for (const auto& [ueid, card] : story.cards)
    page.put(
        html::table_row(head, {html::code(ueid), std::to_string(card.released), std::to_string(card.denied),
                               html::text(joined(card.keys)), when(card.first), when(card.last)}));
  page.put(html::table_end());
}

void put_history(PageFile& page, const audit::LogCopy& log, const Seqs& entries) {
  const Words head{"Entry", "Time", "What", "Of what"};
  if (entries.empty()) return page.put(soft("Nothing."));
  std::map<std::string, Seqs> by_kind;
  std::vector<const Seqs*> kinds;  // of each entry
  for (const std::uint64_t seq : entries) {
    Seqs& alike = by_kind[about(told(log, seq))];
    alike.push_back(seq);
    kinds.push_back(&alike);
  }
  page.put(html::table_top(head));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Seqs& alike = *kinds[i];
    if (alike.size() > kFold && alike.front() != entries[i]) continue;  // in the row of the first
    const Entry entry = told(log, entries[i]);
    if (alike.size() <= kFold) {
      page.put(html::table_row(head, history_row(entry)));
      continue;
    }
    const Entry last = told(log, alike.back());
    page.put("<tr><td class=\"fold\" colspan=\"4\"><details><summary>" + std::to_string(alike.size()) +
             " times " + html::text(about(entry)) + ", entries " + std::to_string(entry.seq) + " to " +
             std::to_string(last.seq) + ", " + times(entry.time, last.time) + "</summary>" +
             html::table_top(head));
    for (const std::uint64_t one : alike) page.put(html::table_row(head, history_row(told(log, one))));
    page.put(html::table_end() + "</details></td></tr>\n");
  }
  page.put(html::table_end());
}

void put_ceremonies(PageFile& page, const Story& story) {
  const Words head{"Title", "Outcome", "Began", "Ended", "Stops", "Plan signed by", "Reason"};
  page.put(section("Key ceremonies"));
  if (story.ceremonies.empty()) return page.put(soft("None."));
  page.put(html::table_top(head));
  for (const HeldCeremony& one : story.ceremonies) {
    const bool open = one.outcome.empty();
    page.put(html::table_row(
        head,
        {html::text(one.title),
         html::element("span", open ? "goes on" : one.outcome,
                       one.outcome == "complete" ? "class=\"good\"" : "class=\"bad\""),
         when(one.began), open ? "" : when(one.ended), std::to_string(one.stops),
         one.signers.empty() ? html::element("span", "nobody", "class=\"soft\"") : html::text(one.signers),
         html::text(one.why)}));
  }
  page.put(html::table_end());
}

void put_meks(PageFile& page, const audit::LogCopy& log, const Story& story) {
  page.put(section("Model keys"));
  if (story.meks.empty()) return page.put(soft("None."));
  UnixTime first = log.state.last_time, last = 0;
  for (const auto& [id, history] : story.meks)
    for (const KeyEvent& event : history.events) {
      first = std::min(first, event.time);
      last = std::max(last, event.time);
    }
  last = std::max(first, last);  // also where nothing has a mark
  const auto label_of = [&](const std::string& id) {
    const auto known = log.state.meks.find(from_hex(id));
    return known == log.state.meks.end() ? std::string("unknown") : known->second.label;
  };
  for (const auto& [id, history] : story.meks) {
    TimeLine line(first, last);
    for (const KeyEvent& event : history.events) line.add(event.mark, event.time);
    page.put(line.line(label_of(id)));
  }
  page.put(TimeLine(first, last).axis() + timeline_legend());
  for (const auto& [id, history] : story.meks) {
    const auto known = log.state.meks.find(from_hex(id));
    page.put(html::element("h3", html::text(label_of(id))) + "\n" +
             html::element("p", "Id " + html::code(id)));
    if (known != log.state.meks.end()) page.put(key_facts(known->second));
    page.put("\n");
    put_history(page, log, history.entries);
  }
}

}  // namespace qpcseal::cli
