// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/timeline.h"

#include <algorithm>
#include <array>

#include "appliance/cli/output/html.h"

namespace qpcseal::cli {

namespace {

// Of a line of 300 pixels, as on a telephone, a mark of three signs takes less than kPitch.
constexpr double kPitch = 8.4;    // percent: what is closer stands in another lane
constexpr double kMerged = 10.4;  // percent: marks of one kind that are closer stand as one
constexpr std::size_t kMostShown = 99;
constexpr UnixTime kByHour = 3 * UnixTime{86400};

constexpr std::string_view kTimelineStyle = R"(
.life { display: flex; align-items: center; margin: .35rem 0; }
.life > b { flex: 0 0 9rem; overflow-wrap: anywhere; font-weight: 600; font-size: .87rem; }
.track { position: relative; flex: 1; height: 1.5rem; background: var(--back); border: 1px solid var(--line);
  border-radius: 4px; }
.track i { position: absolute; top: .05rem; font: 600 .72rem/1.3rem sans-serif; min-width: 1.1rem; padding: 0 .1rem;
  transform: translateX(-50%); text-align: center; color: #fff; background: var(--soft); border-radius: 3px; }
.track i.good { background: var(--good); } .track i.bad { background: var(--bad); }
.axis { display: flex; justify-content: space-between; margin-left: 9rem; font-size: .78rem; color: var(--soft); }
@media (max-width: 40rem) { .life { display: block; } .axis { margin-left: 0; }
  .axis span:nth-child(2), .axis span:nth-child(3) { display: none; } }
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

// From the top of the line, "1.55rem".
std::string lane_height(std::size_t lanes) {
  constexpr std::size_t kHundredths = 145;  // of 1rem, for a lane
  const std::size_t height = lanes * kHundredths + 5;
  const std::string fraction = std::to_string(height % 100);
  return std::to_string(height / 100) + "." + (fraction.size() < 2 ? "0" : "") + fraction + "rem";
}

}  // namespace

std::string_view timeline_style() { return kTimelineStyle; }

std::string timeline_legend() {
  std::string out;
  for (const MarkWords& words : kMarkWords)
    out += (out.empty() ? "" : ", ") + html::element("b", std::string(1, words.letter)) + " " + words.words;
  return html::element("p", out + ". A number counts what stands together, + more than 99 of them.",
                       "class=\"soft\"") +
         "\n";
}

std::string short_time(UnixTime time, UnixTime span) {
  constexpr std::size_t kDate = 10, kMinute = 16;  // "2026-11-24", "2026-11-24T08:30"
  std::string out = format_time(time).substr(0, span < kByHour ? kMinute : kDate);
  std::ranges::replace(out, 'T', ' ');
  return out;
}

double TimeLine::place_of(UnixTime time) const {
  constexpr double kEdge = 4, kInner = 92;  // percent
  if (last_ <= first_) return kEdge;
  return kEdge + (kInner * static_cast<double>(time - first_) / static_cast<double>(last_ - first_));
}

// The first lane that has room there, else a new one.
std::size_t TimeLine::lane_for(double place) const {
  std::size_t out = 0;
  while (out < ends_.size() && place - ends_[out] < kPitch) ++out;
  return out;
}

void TimeLine::add(Mark mark, UnixTime time) {
  const double place = place_of(time);
  for (auto before = shown_.rbegin(); before != shown_.rend(); ++before) {
    if (before->mark != mark) continue;
    if (place - before->place >= kMerged) break;
    ++before->count;
    before->last = time;
    return;
  }
  const std::size_t lane = lane_for(place);
  if (lane == ends_.size()) ends_.push_back(0);
  ends_[lane] = place;
  shown_.push_back({mark, time, time, 1, place, lane});
}

std::string TimeLine::line(std::string_view name) const {
  std::string marks;
  for (const Shown& one : shown_) {
    const MarkWords& words = words_of(one.mark);
    std::string title = std::string(words.words) + " " + format_time(one.first);
    if (one.count > 1) title += " to " + format_time(one.last) + ", " + std::to_string(one.count) + " times";
    const std::string count = one.count > kMostShown ? "+" : one.count > 1 ? std::to_string(one.count) : "";
    marks += html::element("i", std::string(1, words.letter) + count,
                           "class=\"" + std::string(words.style) + "\" style=\"left:" + percent(one.place) +
                               (one.lane > 0 ? ";top:" + lane_height(one.lane) : "") + "\" title=\"" +
                               html::text(title) + "\"");
  }
  const std::string height = ends_.size() > 1 ? " style=\"height:" + lane_height(ends_.size()) + "\"" : "";
  return html::element(
             "div",
             html::element("b", html::text(name)) + html::element("div", marks, "class=\"track\"" + height),
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
