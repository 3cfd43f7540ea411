// SPDX-License-Identifier: Apache-2.0
// Evidence schemes. Each turns the bytes of a report into claims or into findings; a further scheme (the
// vendor's own, once published) is one file of its own and one line in all_schemes().
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "attest/certpath.h"
#include "attest/evidence.h"
#include "base/clock.h"
#include "base/finding.h"

namespace qpcseal::attest {

inline constexpr std::size_t kMaxReport = 65536;  // bytes

// A challenge of this appliance's that a report may answer.
struct ExpectedChallenge {
  Bytes nonce, aud;
  std::optional<Bytes> ueid;
  UnixTime expiry = 0;
};

struct VerifyContext {
  UnixTime now = 0;  // the appliance's, never the report's
  TrustAnchors anchors;
  // Those of our challenges whose nonce stands in the report. For schemes whose reports we cannot read.
  std::function<std::vector<ExpectedChallenge>(ByteView report)> find_challenges = {};
};

// Who verified evidence in our stead, and what it went by.
struct ExternalVerifier {
  std::string program_sha256;      // hex, as the site's facts pin it
  std::string name, version;       // as it says
  std::vector<std::string> chain;  // SHA-256 of each certificate, hex, the leaf first
};

struct Evidence {
  std::optional<Claims> claims;  // set only where there is no finding at all
  Findings findings;
  std::optional<Sha256Digest> root;  // SHA-256 of the root the path ends at
  bool crls_current = false;         // see PathResult
  CrlNumbers crls;                   // likewise
  std::optional<ExternalVerifier> verifier;
};

class Scheme {
 public:
  Scheme() = default;
  Scheme(const Scheme&) = delete;
  Scheme& operator=(const Scheme&) = delete;
  virtual ~Scheme() = default;
  [[nodiscard]] virtual std::string_view id() const = 0;  // as policies name it, e.g. "eat-card"
  // Whether the outermost bytes are this scheme's. It selects the scheme whose findings explain a report that
  // none accepts.
  [[nodiscard]] virtual bool recognises(ByteView report) const = 0;
  // The findings against its outermost form, COSE_Sign1 as this scheme has it; none: it is a report, true or
  // not.
  [[nodiscard]] virtual Findings form_findings(ByteView report) const = 0;
  // Structure, path, signature, claims, expiry. Whether nonce and aud are ours, and whether the claims are
  // good enough, is not decided here. Throws only Error{Internal}, and Error{Malformed} for a bad root among
  // the anchors.
  [[nodiscard]] virtual Evidence verify(ByteView report, const VerifyContext& context) const = 0;
  // The claims for display: NOTHING is verified.
  [[nodiscard]] virtual Evidence inspect(ByteView report) const = 0;
};

std::vector<std::unique_ptr<Scheme>> all_schemes();
// Null where no scheme has that id.
std::unique_ptr<Scheme> find_scheme(std::string_view id);
// The one that recognises the report; null where none does.
std::unique_ptr<Scheme> detect_scheme(ByteView report);
std::unique_ptr<Scheme> make_eat_card_scheme();
std::unique_ptr<Scheme> make_aws_nitro_scheme();

// Throws Error{Malformed}, with the findings of the scheme that recognises it, for what has the form of no
// scheme's reports: such a file may be anything, and is neither kept nor named in the log.
void require_report_form(ByteView bytes);
// Throws Error{Malformed} for a file of another known kind (a request, a batch, a model), which is named, and
// as refuse_bare_key(). With `any_form`, where a report's format is not known here, by its first bytes alone.
void refuse_other_kind(ByteView bytes, bool any_form = false);
// Throws Error{Malformed} with the reason when `bytes` is a key or a certificate (PEM or DER) and no report:
// a bare public key does not show where its private half is.
void refuse_bare_key(ByteView bytes);

}  // namespace qpcseal::attest
