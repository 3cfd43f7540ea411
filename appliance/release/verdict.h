// SPDX-License-Identifier: Apache-2.0
// The verdict on a report: attestation, then challenge and policy. It uses no challenge up.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "appliance/audit/state.h"
#include "appliance/keys/wrap.h"
#include "appliance/trust/trust_folder.h"
#include "attest/scheme.h"
#include "policy/evaluate.h"

namespace qpcseal::release {

struct Report {
  std::string name;  // as the user gave it
  Bytes bytes;
  Sha256Digest digest{};
};

// Error{Io}; Error{Malformed} for an empty or oversized file, for a bare public key, and for a file without
// the form of a known scheme's reports.
// `any_form`: without the last check, where the policy names a verifier of the site's (names_external).
Report read_report(const std::filesystem::path& path, bool any_form = false);
// The same without the last check, for a command that shows why a file is no report.
Report read_unchecked_report(const std::filesystem::path& path, bool any_form);

// The report after its signature, path and claims are verified, with all findings.
struct Verified {
  std::string scheme;
  attest::Evidence evidence;
  policy::CollateralFacts collateral;  // what it was verified with
};
// Whether a class of the policy has a scheme "external:NAME".
[[nodiscard]] bool names_external(const policy::Policy& policy);

// Tries the schemes that the policy names, for any number of reports. Certificates and lists that reports
// share are parsed once. Several threads may use one object.
class Verifier {
 public:
  // Error{Denied} where the policy names a scheme that is not known.
  // `state`: for schemes "external:NAME", whose programs and challenges the log has; it must outlive the
  // verifier. Error{Denied} where the policy names one and there is no log, or no such program.
  Verifier(const policy::Policy& policy, const trust::Trust& trust, UnixTime now,
           const audit::State* state = nullptr);
  [[nodiscard]] Verified verify(const Report& report) const;

 private:
  struct SchemeContext {
    std::unique_ptr<attest::Scheme> scheme;
    attest::VerifyContext context;
  };
  std::vector<SchemeContext> ways_;
  policy::CollateralFacts collateral_;
};
Verified verify_attestation(const Report& report, const policy::Policy& policy, const trust::Trust& trust,
                            UnixTime now, const audit::State* state = nullptr);
// Whether both policies verify every report alike: the same schemes in the same order, each with the same
// roots.
[[nodiscard]] bool verify_alike(const policy::Policy& a, const policy::Policy& b);

struct VerdictInputs {
  const policy::Policy& policy;
  const audit::State& state;
  UnixTime now = 0;
  std::vector<keys::SuiteAbility>
      suites;                   // what the token serves; empty: not known, the policy's first is assumed
  std::optional<Bytes> mek_id;  // the MEK that is to be released; nothing: the challenge's
  std::uint64_t releases_wanted = 1;
  std::string format{policy::kOwnFormat};
  // Open releases among those to be decided. The state counts them already; they are not counted twice.
  std::uint64_t own_releases = 0;       // of the MEK
  std::uint64_t own_card_releases = 0;  // to the card

  [[nodiscard]] std::uint64_t releases(const Bytes& mek) const;  // others'
  [[nodiscard]] std::uint64_t card_releases(const Bytes& ueid) const;
};

struct Verdict {
  policy::Decision decision;
  std::optional<keys::Suite> suite;
  Bytes mek_id;
  std::string mek_label;
};

// The release that used up this challenge, if it was cut short and may go on: by the same report, for the
// challenge's MEK, under the policy in force. Null: there is none.
const audit::OpenIntent* unfinished_release(const audit::State& state, const audit::Challenge& challenge,
                                            const Sha256Digest& report);

// The log's facts about the challenge, for this report. Call it before a release uses the challenge up.
policy::ChallengeFacts challenge_facts(const audit::State& state, const Bytes& nonce, const Report& report);

// `verified` must have claims.
Verdict judge(const VerdictInputs& inputs, const policy::ChallengeFacts& challenge, const Verified& verified);

// The type of a session key, as wrap suites name it.
keys::PeerType peer_type(attest::SessionKeyType type);
// The card's key and identity, from verified claims that have a session key.
keys::Peer session_peer(const attest::Claims& claims);

}  // namespace qpcseal::release
