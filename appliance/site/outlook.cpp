// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/outlook.h"

#include <algorithm>
#include <array>

#include "appliance/approval/standing.h"
#include "appliance/audit/log.h"
#include "appliance/site/in_force.h"
#include "base/error.h"
#include "policy/officers_needed.h"

namespace qpcseal::site {

namespace {

using encoding::Json;

// Whether the clock is so far from the log that it says nothing of whether a request is valid.
bool doubts(const Outlook& outlook) {
  return outlook.clock < outlook.state.last_time || outlook.clock >= outlook.policy.expires.value ||
         audit::runs_ahead(outlook.state, outlook.clock);
}

// When the request for the operation was made, but never before the log's last entry.
UnixTime moment_of(const std::string& operation, const std::vector<std::string>& requests, UnixTime last) {
  for (const std::string& text : requests)
    if (const approval::ApprovalRequest request = approval::parse_approval_request(text);
        request.operation == operation)
      return std::max(request.not_before, last);
  return last;
}

// Before a request is looked at: how many officers must agree.
int needed_for(const Outlook& outlook, const std::string& operation) {
  require_genesis(outlook);
  const auto needed = policy::officers_needed(outlook.policy, operation);
  if (!needed)
    throw Error(ErrorKind::Denied,
                "the policy does not allow '" + operation + "': [approvals] does not name it");
  if (operation != kStopsKey) {
    refuse_expired_policy(outlook);
    outlook.check_clock();
  }
  return *needed;
}

// Runs `judge` with the context, requests and signatures by which the operation is judged.
template <typename Judge>
auto judge_by(const Outlook& outlook, const std::string& operation, Judge judge) {
  const std::vector<std::string> requests = approval::read_requests(outlook.approvals.requests);
  const approval::Officers officers = approval::read_officers(outlook.home.officers(), outlook.state);
  const auto was_head = [&](std::uint64_t size, const std::string& root) {
    if (!outlook.anchored) return true;
    return size <= outlook.state.size && to_hex(outlook.tree().root(size)) == root;
  };
  const auto used_by = [&](const std::string& nonce) {
    return approval::words_of_use(audit::read_log(outlook.home.log(), std::nullopt), nonce);
  };
  const UnixTime moment = operation == kStopsKey && doubts(outlook)
                              ? moment_of(operation, requests, outlook.state.last_time)
                              : outlook.now();
  const approval::ApprovalContext context{outlook.state, was_head, outlook.policy, officers, moment, used_by};
  return judge(context, requests, approval::read_signatures(outlook.approvals.signatures));
}

}  // namespace

UnixTime Outlook::now() const { return std::max({clock, state.last_time, build_time()}); }

bool Outlook::insecure_demo() const { return encoding::bool_member(state.genesis, "insecure_demo"); }

void require_genesis(const Outlook& outlook) {
  if (outlook.state.genesis_accepted || outlook.insecure_demo()) return;
  throw Error(ErrorKind::ApprovalsMissing, "the officers have not signed the genesis yet",
              "'qpcseal genesis show -o FILE', every officer signs it, then 'qpcseal genesis accept'");
}

void refuse_expired_policy(const Outlook& outlook) {
  const UnixTime end = outlook.policy.expires.value, now = outlook.now();
  if (now < end) return;
  throw Error(ErrorKind::Denied,
              "the policy expired at " + format_time(end) + ", and it is " + format_time(now),
              "'qpcseal policy install' brings in the next one; where the clock is wrong, set it");
}

std::optional<approval::ApprovalResult> judge_act(const Outlook& outlook, const std::string& operation,
                                                  const Json& parameters) {
  if (needed_for(outlook, operation) == 0) return std::nullopt;
  return judge_by(outlook, operation, [&](const auto& context, const auto& requests, const auto& signatures) {
    return approval::judge_approval(context, operation, parameters, requests, signatures);
  });
}

void require_candidate(const Outlook& outlook, const std::string& operation) {
  if (!policy::officers_needed(outlook.policy, operation) || needed_for(outlook, operation) == 0) return;
  judge_by(outlook, operation, [&](const auto& context, const auto& requests, const auto& signatures) {
    approval::require_candidate(context, operation, requests, signatures);
  });
}

bool is_settled_by_start(const audit::OpenIntent& intent) {
  static constexpr std::array<std::string_view, 4> kStayOpen = {"release", "ceremony", "ceremony-step",
                                                                "shred"};
  if (std::ranges::find(kStayOpen, intent.kind) == kStayOpen.end()) return true;
  return intent.wrapped.is_object() && intent.wrapped.contains("exposed");  // what a tool had cannot go on
}

void look_ahead(const Home& home, const audit::LogCursor& at, const approval::ApprovalFiles& approvals,
                const RunningImage& image, UnixTime clock, bool clock_is_confirmed,
                const std::function<void(const Outlook&)>& look) {
  if (std::ranges::any_of(at.state.open, [](const auto& item) { return is_settled_by_start(item.second); }))
    return;
  const policy::Policy policy = read_policy(home, at.state);
  const auto check_clock = [&] {
    if (!clock_is_confirmed) audit::check_clock(at.state, clock);
  };
  std::optional<tlog::Tree> whole;
  const auto tree = [&]() -> const tlog::Tree& {
    if (!whole) whole = audit::whole_tree(home.log(), at);
    return *whole;
  };
  look({home, approvals, image, at.state, policy, clock, tree, check_clock, false});
}

}  // namespace qpcseal::site
