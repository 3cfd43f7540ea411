// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/timeline.h"

#include <algorithm>
#include <array>

#include "appliance/cli/output/html.h"

namespace qpcseal::cli {

namespace {

constexpr double kNarrow = 2.6;  // percent: what is closer would overlap
constexpr UnixTime kByHour = 3 * UnixTime{86400};

constexpr std::string_view kTimelineStyle = R"(
.life { display: flex; align-items: center; margin: .35rem 0; }
.life > b { flex: 0 0 9rem; overflow-wrap: anywhere; font-weight: 600; font-size: .87rem; }
.track { position: relative; flex: 1; height: 1.5rem; background: var(--back); border: 1px solid var(--line);
  border-radius: 4px; }
.track i { position: absolute; top: .05rem; font: 600 .72rem/1.3rem sans-serif; width: 1.2rem; margin-left: -.6rem;
  text-align: center; color: #fff; background: var(--soft); border-radius: 3px; }
.track i.good { background: var(--good); } .track i.bad { background: var(--bad); }
.axis { display: flex; justify-content: space-between; margin-left: 9rem; font-size: .78rem; color: var(--soft); }
@media (max-width: 40rem) { .life { display: block; } .axis { margin-left: 0; } }
)";

struct MarkWords {
  Mark mark;
  char letter;
  const char* words;
  const char* style;
};

constexpr std::array<MarkWords, 11> kMarkWords = {{{Mark::Made, 'M', "made", "good"},
                                                   {Mark::Backup, 'B', "backed up", ""},
                                                   {Mark::Drilled, 'T', "backup drilled", ""},
                                                   {Mark::Replaced, 'N', "replaced by a new generation", ""},
                                                   {Mark::Sealed, 'E', "sealed a model", ""},
                                                   {Mark::Released, 'R', "released to a card", "good"},
                                                   {Mark::Denied, 'D', "release denied or failed", "bad"},
                                                   {Mark::Suspended, 'S', "suspended", "bad"},
                                                   {Mark::Resumed, 'U', "resumed", ""},
                                                   {Mark::Exposed, 'V', "in the vendor's tool", "bad"},
                                                   {Mark::Destroyed, 'X', "destroyed", "bad"}}};

const MarkWords& words_of(Mark mark) { return *std::ranges::find(kMarkWords, mark, &MarkWords::mark); }

std::string percent(double value) {
  const std::string out = std::to_string(value);
  return out.substr(0, out.find('.') + 2) + "%";
}

}  // namespace

std::string_view timeline_style() { return kTimelineStyle; }

std::string timeline_legend() {
  std::string out;
  for (const MarkWords& words : kMarkWords)
    out += (out.empty() ? "" : ", ") + html::element("b", std::string(1, words.letter)) + " " + words.words;
  return html::element("p", out + ". A number counts what stands together.", "class=\"soft\"") + "\n";
}

std::string short_time(UnixTime time, UnixTime span) {
  constexpr std::size_t kDate = 10, kMinute = 16;  // "2026-11-24", "2026-11-24T08:30"
  std::string out = format_time(time).substr(0, span < kByHour ? kMinute : kDate);
  std::ranges::replace(out, 'T', ' ');
  return out;
}

double TimeLine::place_of(UnixTime time) const {
  constexpr double kEdge = 2, kInner = 96;  // percent
  if (last_ <= first_) return kEdge;
  return kEdge + (kInner * static_cast<double>(time - first_) / static_cast<double>(last_ - first_));
}

// What would overlap the mark before it counts with it, or stands beside it.
void TimeLine::add(Mark mark, UnixTime time) {
  const double place = place_of(time);
  if (shown_.empty() || place - shown_.back().place >= kNarrow) {
    shown_.push_back({mark, time, time, 1, place});
    return;
  }
  for (auto before = shown_.rbegin(); before != shown_.rend() && place - before->place < 4 * kNarrow;
       ++before) {
    if (before->mark != mark) continue;
    ++before->count;
    before->last = time;
    return;
  }
  shown_.push_back({mark, time, time, 1, shown_.back().place + kNarrow});
}

std::string TimeLine::line(std::string_view name) const {
  std::string marks;
  // Marks beside each other may have run over the right end: then they stand from there to the left.
  double most = 98;
  std::vector<Shown> shown = shown_;
  for (auto one = shown.rbegin(); one != shown.rend(); ++one) {
    one->place = std::max(std::min(one->place, most), 1.0);
    most = one->place - kNarrow;
  }
  for (const Shown& one : shown) {
    const MarkWords& words = words_of(one.mark);
    std::string title = std::string(words.words) + " " + format_time(one.first);
    if (one.count > 1) title += " to " + format_time(one.last) + ", " + std::to_string(one.count) + " times";
    const std::string text =
        std::string(1, words.letter) + (one.count > 1 && one.count < 100 ? std::to_string(one.count) : "");
    marks += html::element("i", text,
                           "class=\"" + std::string(words.style) + "\" style=\"left:" + percent(one.place) +
                               "\" title=\"" + html::text(title) + "\"");
  }
  return html::element("div",
                       html::element("b", html::text(name)) + html::element("div", marks, "class=\"track\""),
                       "class=\"life\"") +
         "\n";
}

std::string TimeLine::axis() const {
  std::string out;
  constexpr int kParts = 3;
  for (int i = 0; i <= kParts; ++i)
    out += html::element("span", short_time(first_ + ((last_ - first_) * i / kParts), last_ - first_));
  return html::element("div", out, "class=\"axis\"") + "\n";
}

}  // namespace qpcseal::cli
