// SPDX-License-Identifier: Apache-2.0
// Key ceremonies: one plan, its steps in order, and the record's digest at the end.
#include <algorithm>

#include "appliance/audit/state_kinds.h"

namespace qpcseal::audit {

namespace {

constexpr std::size_t kCeremonyIdSize = 16;  // bytes

Ceremony& ceremony_of(State& state, const encoding::Json& data) {
  const auto found = state.ceremonies.find(encoding::hex_member(data, "plan_sha256", kDigestSize));
  require(found != state.ceremonies.end() &&
              found->second.id == encoding::hex_member(data, "ceremony", kCeremonyIdSize) &&
              found->second.outcome.empty(),
          "a step of a ceremony that does not go on");
  return found->second;
}

bool has_open_step(const State& state, const encoding::Json& ceremony) {
  return std::ranges::any_of(state.open, [&](const auto& item) {
    return item.second.kind == kCeremonyStep.name &&
           encoding::member(item.second.data, "ceremony") == encoding::member(ceremony, "ceremony");
  });
}

// Where the site's facts name an image, a ceremony says that it began under it.
void require_image(const State& state, const encoding::Json& ceremony) {
  if (state.site.image.empty()) return;
  const encoding::Json& environment = encoding::member(ceremony, "environment");
  require(encoding::member(environment, "image") == state.site.image,
          "a ceremony under another image than the site's");
}

// A plan serves once, again where its ceremony ended without an act, not at all where officers rejected it;
// and one ceremony goes on at a time.
void begin(State& state, const Entry& entry) {
  require(!state.approvals_used.contains(encoding::hex_member(entry.data, "plan_sha256", kDigestSize)),
          "a plan that was rejected");
  require_image(state, entry.data);
  for (const auto& [plan, ceremony] : state.ceremonies)
    require(!ceremony.outcome.empty(), "a ceremony begins while another goes on");
  Ceremony next;
  next.id = encoding::hex_member(entry.data, "ceremony", kCeremonyIdSize);
  next.seq = entry.seq;
  const auto [known, fresh] =
      state.ceremonies.emplace(encoding::hex_member(entry.data, "plan_sha256", kDigestSize), next);
  require(fresh || (may_begin_anew(known->second) && known->second.id != next.id),
          "a plan that was used before");
  known->second = next;
}

void end(State& state, const Entry& entry, const OpenIntent& intent) {
  require(!has_open_step(state, intent.data), "a ceremony ends while a step of it goes on");
  ceremony_of(state, intent.data).outcome = entry.outcome;
}

void begin_step(State& state, const Entry& entry) {
  static_cast<void>(ceremony_of(state, entry.data));
  require(!has_open_step(state, entry.data), "a step begins while another goes on");
  static_cast<void>(encoding::text_member(entry.data, "step"));
  static_cast<void>(encoding::uint_member(entry.data, "attempt"));
}

void end_step(State& /*state*/, const Entry& /*entry*/, const OpenIntent& /*intent*/) {}

// Stops and resumes change nothing; the record of the ceremony names them.
void stop_ceremony(State& state, const Entry& entry) {
  static_cast<void>(ceremony_of(state, entry.data));
  static_cast<void>(encoding::text_member(entry.data, "step"));
  static_cast<void>(encoding::text_member(entry.data, "cause"));
}

void resume_ceremony(State& state, const Entry& entry) { static_cast<void>(ceremony_of(state, entry.data)); }

}  // namespace

const Kind kCeremony{"ceremony", nullptr, begin, end};
const Kind kCeremonyStep{"ceremony-step", nullptr, begin_step, end_step};
const Kind kCeremonyStop{"ceremony-stop", stop_ceremony};
const Kind kCeremonyResume{"ceremony-resume", resume_ceremony};

}  // namespace qpcseal::audit
