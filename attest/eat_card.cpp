// SPDX-License-Identifier: Apache-2.0
// Scheme `eat-card`: an EAT as a CWT in COSE_Sign1, ES384, with its path in x5chain (FORMAT.md section 5).
#include <array>

#include "attest/cose.h"
#include "attest/scheme.h"

namespace qpcseal::attest {
namespace {

constexpr const char* kEatRule = "FORMAT.md section 5";
constexpr std::uint64_t kEatFormat = 263;  // application/eat+cwt

CoseProfile eat_profile() {
  CoseProfile out;
  out.tags = {61, 18};
  out.algorithms = {CoseAlgorithm::Es384};
  out.protected_labels = {1, 3, 33};
  return out;
}

std::optional<Sign1> parse_eat(ByteView report, Findings& findings) {
  try {
    if (report.size() > kMaxReport) throw Error(ErrorKind::Malformed, "more than 64 KiB");
    return parse_sign1(report, eat_profile());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed) throw;
    findings.push_back(
        {"ATT-COSE", "report", error.what(), "61(18([protected, {}, payload, signature]))", kEatRule});
    return std::nullopt;
  }
}

void check_shape(const Sign1& message, Findings& findings) {
  if (message.content_type != kEatFormat) {
    findings.push_back({"ATT-COSE", "content type",
                        message.content_type ? std::to_string(*message.content_type) : "absent", "263",
                        kEatRule});
  }
  if (message.x5chain.empty() || message.x5chain.size() >= kMaxPath) {
    findings.push_back({"ATT-COSE", "x5chain", std::to_string(message.x5chain.size()) + " certificates",
                        "1 to 5", kEatRule});
  }
  if (message.signature.size() != 96) {
    findings.push_back(
        {"ATT-COSE", "signature", std::to_string(message.signature.size()) + " bytes", "96", kEatRule});
  }
}

void check_times(const Claims& claims, UnixTime now, Findings& findings) {
  if (claims.exp && *claims.exp <= now) {
    findings.push_back(
        {"ATT-EXPIRED", "exp", std::to_string(*claims.exp), "later than " + std::to_string(now), kEatRule});
  }
  if (claims.exp && claims.iat && *claims.exp <= *claims.iat) {
    findings.push_back({"ATT-IAT", "iat", std::to_string(*claims.iat), "before exp", kEatRule});
  }
}

class EatCard final : public Scheme {
 public:
  std::string_view id() const override { return "eat-card"; }
  bool recognises(ByteView report) const override {
    constexpr std::array<std::uint8_t, 2> tag = {0xd8, 61};
    return report.size() > tag.size() && equal(report.first(tag.size()), tag);
  }

  Findings form_findings(ByteView report) const override {
    Findings out;
    static_cast<void>(parse_eat(report, out));
    return out;
  }

  Evidence verify(ByteView report, const VerifyContext& context) const override {
    Evidence out;
    const std::optional<Sign1> message = parse_eat(report, out.findings);
    if (!message) return out;
    check_shape(*message, out.findings);
    std::optional<Claims> claims = parse_claims(message->payload, out.findings);
    PathResult path = verify_path(message->x5chain, context.anchors,
                                  {.identity = claims ? to_hex(claims->ueid) : ""}, context.now);
    out.findings.insert(out.findings.end(), path.findings.begin(), path.findings.end());
    if (!path.leaf_key || !verify_sign1(*message, path.leaf_key.get())) {
      out.findings.push_back(
          {"ATT-SIGNATURE", "signature", "does not verify", "ES384 by the leaf's key", kEatRule});
    }
    if (claims) check_times(*claims, context.now, out.findings);
    if (!out.findings.empty()) return out;
    out.root = path.root;
    out.crls_current = path.crls_current;
    out.crls = path.crls;
    out.claims = std::move(claims);
    return out;
  }

  Evidence inspect(ByteView report) const override {
    Evidence out;
    const std::optional<Sign1> message = parse_eat(report, out.findings);
    if (message) out.claims = parse_claims(message->payload, out.findings);
    return out;
  }
};

}  // namespace

std::unique_ptr<Scheme> make_eat_card_scheme() { return std::make_unique<EatCard>(); }

}  // namespace qpcseal::attest
