// SPDX-License-Identifier: Apache-2.0
#include "attest/external.h"

#include <algorithm>

#include "base/digest.h"
#include "base/text.h"

namespace qpcseal::attest {

namespace {

constexpr const char* kExternalRule = "FORMAT.md, scheme external";
constexpr std::size_t kMaxWords = 200;  // bytes of the verifier's own words in a finding

confine::Limits verifier_limits() {
  confine::Limits out;
  out.wall = std::chrono::seconds(20);
  out.cpu = 20;
  out.memory = std::uint64_t{2} << 30;
  out.file_size = confine::kMaxPinned;  // its own files come into the sandbox under this limit too
  out.processes = 32;
  out.output = kMaxAnswer;
  return out;
}

class External final : public Scheme {
 public:
  explicit External(const VerifierProgram& program)
      : id_("external:" + program.name), path_(program.program.path), sha256_(program.program.sha256) {
    files_.push_back(confine::load_pinned(program.program, true));
    for (const confine::Pin& file : program.files) files_.push_back(confine::load_pinned(file, true));
  }

  std::string_view id() const override { return id_; }
  // What is of no other scheme may be anything.
  bool recognises(ByteView report) const override { return detect_scheme(report) == nullptr; }
  Findings form_findings(ByteView /*report*/) const override { return {}; }
  Evidence inspect(ByteView /*report*/) const override { return {}; }

  Evidence verify(ByteView report, const VerifyContext& context) const override {
    Evidence out;
    const auto expected = expected_challenge(report, context, out.findings);
    if (!expected) return out;
    out.verifier = ExternalVerifier{sha256_, {}, {}, {}};
    const confine::Finished done = confine::run(job(report, *expected, context.now));
    check_end(done, out.findings);
    if (!out.findings.empty()) return out;
    ExternalVerifier& verifier = *out.verifier;
    std::optional<Claims> claims = parse_external_answer(done.output, verifier, out.findings);
    if (claims) check_claims(*claims, verifier, *expected, context, out.findings);
    if (!out.findings.empty()) return out;
    claims->aud = expected->aud;  // the nonce alone went to the card, and stands for it
    out.root = digest_of(verifier.chain.back());
    out.claims = std::move(claims);
    return out;
  }

 private:
  static Sha256Digest digest_of(const std::string& hex) {
    Sha256Digest out{};
    std::ranges::copy(from_hex(hex), out.begin());
    return out;
  }

  // Garbage starts no program: the report must carry the nonce of one challenge of ours.
  static std::optional<ExpectedChallenge> expected_challenge(ByteView report, const VerifyContext& context,
                                                             Findings& findings) {
    const auto found =
        context.find_challenges ? context.find_challenges(report) : std::vector<ExpectedChallenge>{};
    if (report.size() <= kMaxReport && found.size() == 1) return found.front();
    findings.push_back({"ATT-EXTERNAL-CHALLENGE", "nonce",
                        std::to_string(found.size()) + " challenges of this appliance stand in the report",
                        "the 32 bytes of one", kExternalRule});
    return std::nullopt;
  }

  [[nodiscard]] confine::Job job(ByteView report, const ExpectedChallenge& expected, UnixTime now) const {
    confine::Job out;
    out.command = {
        path_,   "--nonce",          to_hex(expected.nonce), "--expires", std::to_string(expected.expiry),
        "--now", std::to_string(now)};
    if (expected.ueid) out.command.insert(out.command.end(), {"--ueid", to_hex(*expected.ueid)});
    out.files = files_;
    out.input = copy(report);
    out.limits = verifier_limits();
    return out;
  }

  static void check_end(const confine::Finished& done, Findings& findings) {
    if (done.end == confine::End::Exited && done.code == 0) return;
    // Any bytes; a finding becomes JSON.
    const std::string words = valid_utf8(done.errors.substr(0, std::min(done.errors.find('\n'), kMaxWords)));
    findings.push_back({"ATT-EXTERNAL-RUN", "the verifier",
                        done.words() + (words.empty() ? "" : ": " + words), "exit status 0 and an answer",
                        kExternalRule});
  }

  static void check_claims(const Claims& claims, const ExternalVerifier& verifier,
                           const ExpectedChallenge& expected, const VerifyContext& context,
                           Findings& findings) {
    if (claims.nonce != expected.nonce)
      findings.push_back(
          {"ATT-EXTERNAL-NONCE", "nonce", to_hex(claims.nonce), to_hex(expected.nonce), kExternalRule});
    const auto& allowed = context.anchors.allowed;
    if (std::ranges::find(allowed, digest_of(verifier.chain.back())) == allowed.end())
      findings.push_back(
          {"ATT-EXTERNAL-ROOT", "root", verifier.chain.back(), "a root of the policy's", kExternalRule});
    if (claims.exp && *claims.exp <= context.now)
      findings.push_back({"ATT-EXPIRED", "exp", std::to_string(*claims.exp),
                          "later than " + std::to_string(context.now), kExternalRule});
  }

  std::string id_, path_, sha256_;
  std::vector<confine::GivenFile> files_;
};

}  // namespace

std::unique_ptr<Scheme> make_external_scheme(const VerifierProgram& program) {
  return std::make_unique<External>(program);
}

}  // namespace qpcseal::attest
