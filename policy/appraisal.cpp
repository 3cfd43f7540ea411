// SPDX-License-Identifier: Apache-2.0
#include "policy/appraisal.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace qpcseal::policy {
namespace {

using namespace ar4si;

// What a finding says of each claim; nothing: it does not bear on it.
using Effect = std::optional<int>;
struct Row {
  std::string_view id;  // of one finding, or with '*' at its end of all that begin so
  Effect instance, configuration, executables, hardware;
};

constexpr Effect kUnmoved = std::nullopt;
constexpr Row all_four(std::string_view id, int value) { return {id, value, value, value, value}; }
constexpr Row unmoved(std::string_view id) { return {id, kUnmoved, kUnmoved, kUnmoved, kUnmoved}; }

// The first row that fits counts.
constexpr std::array kRows = {
    all_four("ATT-SIGNATURE", kNotAuthentic),
    all_four("ATT-CHAIN*", kNotAuthentic),
    all_four("ATT-LEAF-*", kNotAuthentic),
    Row{"ATT-REVOKED", kContraindicated, kNone, kNone, kNone},
    all_four("ATT-CRL*", kNone),
    all_four("ATT-EXPIRED", kNone),
    all_four("ATT-*", kUnexpected),
    Row{"POL-SCHEME", kUnmoved, kUnmoved, kUnmoved, kNotRecognised},
    Row{"POL-ROOT", kNotRecognised, kUnmoved, kUnmoved, kUnmoved},
    Row{"POL-UEID", kNotRecognised, kUnmoved, kUnmoved, kUnmoved},
    Row{"POL-REVOKED", kContraindicated, kUnmoved, kUnmoved, kUnmoved},
    Row{"POL-CRL", kNone, kUnmoved, kUnmoved, kUnmoved},
    Row{"POL-OEMID", kUnmoved, kUnmoved, kUnmoved, kNotRecognised},
    Row{"POL-HWMODEL", kUnmoved, kUnmoved, kUnmoved, kNotRecognised},
    Row{"POL-HWVERSION", kUnmoved, kUnmoved, kUnmoved, kNotRecognised},
    Row{"POL-OEMBOOT", kUnmoved, kUnmoved, kUnrecognised, kUnmoved},
    Row{"POL-DBGSTAT", kUnmoved, kContraindicated, kUnmoved, kUnmoved},
    Row{"POL-SUBMOD-DBGSTAT", kUnmoved, kContraindicated, kUnmoved, kUnmoved},
    Row{"POL-LIFECYCLE", kUnmoved, kContraindicated, kUnmoved, kUnmoved},
    Row{"POL-SUBMOD-MISSING", kUnmoved, kUnavailable, kUnmoved, kUnmoved},
    Row{"POL-SUBMOD-EXTRA", kUnmoved, kUnmoved, kUnrecognised, kUnmoved},
    Row{"POL-MEASUREMENT-MISSING", kUnmoved, kUnmoved, kNone, kUnmoved},
    Row{"POL-MEASUREMENT-EXTRA", kUnmoved, kUnmoved, kUnrecognised, kUnmoved},
    Row{"POL-MEASUREMENT-DIGEST", kUnmoved, kUnmoved, kUnrecognised, kUnmoved},
    Row{"POL-SVN*", kUnmoved, kUnmoved, kVulnerable, kUnmoved},
    // These are about what is asked for, not about the card.
    unmoved("POL-SUITE*"),
    unmoved("POL-FORMAT"),
    unmoved("POL-SESSION-KEY"),
    unmoved("POL-RELEASES"),
    unmoved("POL-CARD-RELEASES"),
};

const Row& row_of(std::string_view id) {
  static constexpr Row kUnknown =
      all_four("", kNone);  // challenge, policy and whatever is new: no claim stands
  const auto* found = std::find_if(kRows.begin(), kRows.end(), [&](const Row& row) {
    if (row.id.ends_with('*')) return id.starts_with(row.id.substr(0, row.id.size() - 1));
    return id == row.id;
  });
  return found == kRows.end() ? kUnknown : *found;
}

// The draft lets the worst tier win; here nothing but the absence of any doubt affirms.
int badness(int value) {
  if (value >= kContraindicated) return 3;
  if (value >= kVulnerable) return 2;
  return value < kAffirming ? 1 : 0;
}

void lower(int& claim, Effect effect) {
  if (!effect) return;
  const bool worse = badness(*effect) > badness(claim);
  if (worse || (badness(*effect) == badness(claim) && *effect > claim)) claim = *effect;
}

}  // namespace

bool TrustVector::affirming() const {
  const auto good = [](int value) { return value == kAffirming; };
  return good(instance_identity) && good(configuration) && good(executables) && good(hardware);
}

std::vector<std::pair<std::string, int>> TrustVector::claims() const {
  return {{"instance-identity", instance_identity},
          {"configuration", configuration},
          {"executables", executables},
          {"hardware", hardware}};
}

std::string tier_name(int value) {
  switch (badness(value)) {
    case 0:
      return "affirming";
    case 1:
      return "none";
    case 2:
      return "warning";
    default:
      return "contraindicated";
  }
}

TrustVector appraise(const Findings& findings, bool appraised) {
  const int start = appraised ? kAffirming : kNone;
  TrustVector out{start, start, start, start};
  for (const Finding& finding : findings) {
    const Row& row = row_of(finding.id);
    lower(out.instance_identity, row.instance);
    lower(out.configuration, row.configuration);
    lower(out.executables, row.executables);
    lower(out.hardware, row.hardware);
  }
  return out;
}

}  // namespace qpcseal::policy
