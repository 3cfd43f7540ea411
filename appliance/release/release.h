// The one path on which a MEK leaves the token: verify -> consume the challenges -> decide -> wrap -> act ->
// result.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "appliance/release/appliance.h"
#include "appliance/release/release_approval.h"
#include "appliance/release/verify.h"
#include "appliance/seal/slots.h"

namespace qpcseal::release {

// One wrapped MEK on its way to one card.
struct Grant {
  std::string report;  // the file it came in
  Sha256Digest report_digest{};
  attest::Claims claims;
  std::string device_class;
  attest::CrlNumbers crls;                     // the revocation lists that were looked at
  policy::TrustVector trust;                   // the card's appraisal: affirming throughout
  std::vector<policy::SvnFloor> svn_minimums;  // what the release demanded
  std::string host;                            // from the request; may be empty
  std::optional<std::uint64_t> device;         // number on that host
  keys::WrappedMek wrapped;
  std::uint64_t entry = 0;  // the result's number in the log, once there is one

  [[nodiscard]] seal::Slots slots() const { return {wrapped.encrypt, wrapped.nonce, wrapped.pub}; }
};

// What the act did with each grant, for the log: one object a grant.
using Act = std::function<std::vector<audit::Json>(const std::vector<Grant>&)>;

// All or nothing over the reports. Error{Denied} with all findings where one report does not pass: its
// challenge is then used up, and so are all others of the call, unless the report did not even verify. `act`
// writes its outputs, but they get their names only after this has returned: nothing with a released key is
// there before the log has its result. When `act` throws, the results in the log say "failed".
std::vector<Grant> release(Appliance& appliance, const keys::Mek& mek, const std::vector<Report>& reports,
                           const Act& act);

// What became of one report: a grant, or the findings against it.
struct Answer {
  std::optional<Grant> grant;
  Findings findings;
};

// Each report for itself, in one transaction: those that pass are released, the others denied; the answers
// are in the reports' order. `act` gets the grants of all that pass, whose results will be the log's next
// entries; its outputs get their names afterwards, as with release(). No two reports may be of one card or
// challenge.
std::vector<Answer> release_each(Appliance& appliance, const keys::Mek& mek,
                                 const std::vector<Report>& reports, const ReleaseApproval& approval,
                                 const Act& act);

}  // namespace qpcseal::release
