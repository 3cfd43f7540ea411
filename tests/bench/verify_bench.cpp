// SPDX-License-Identifier: Apache-2.0
// Verifying reports, one after the other on one core, beside the ECDSA P-384 verifications that each needs.
#include <cstdio>

#include "appliance/release/verdict.h"
#include "attest/cose.h"
#include "base/error.h"
#include "base/random.h"
#include "device/card/certificates.h"
#include "device/card/policy_text.h"
#include "device/card/provision.h"
#include "device/card/statement.h"
#include "tests/bench/bare_verify.h"
#include "tests/bench/measure.h"
#include "tests/bench/process.h"

namespace qpcseal::bench {

namespace {

// One report each of as many cards, each on a challenge of its own, and an appliance that would release to
// all of them.
class Desk {
 public:
  explicit Desk(std::size_t count) : now_(SystemClock().now()) {
    const std::filesystem::path cards = work_.file("cards");
    device::provision({cards, work_.file("root.pem"), 1}, SystemClock());
    config_ = device::read_config(cards, 0);
    boot_ = device::read_boot(cards, 0);
    policy_ = policy::parse_policy(device::policy_for(cards, 0, now_));
    policy_.devices.front().ueids.value.reset();  // any
    policy_.devices.front().roots.value = {copy(sha256(root_der()))};
    trust_.roots = {{"root.der", root_der()}};
    state_.genesis = {{"aud", to_hex(aud_)}};
    audit::MekHistory mek;
    mek.id = mek_id_;
    mek.label = "bench#1";
    mek.state = "ok";
    state_.meks[mek_id_] = mek;
    for (std::size_t i = 0; i < count; ++i) add_report();
  }

  void verify(bool policy) const {
    const release::Verifier verifier(policy_, trust_, now_);
    for (const release::Report& report : reports_) {
      const release::Verified verified = verifier.verify(report);
      if (!verified.evidence.claims)
        throw Error(ErrorKind::Internal, "not verified: " + verified.evidence.findings.front().id);
      if (!policy) continue;
      const auto challenge = release::challenge_facts(state_, verified.evidence.claims->nonce, report);
      const auto verdict = release::judge({policy_, state_, now_, {}, mek_id_, 1}, challenge, verified);
      if (!verdict.decision.allowed())
        throw Error(ErrorKind::Internal, "not allowed: " + verdict.decision.findings().front().id);
    }
  }

 private:
  Bytes root_der() const { return device::make_card_identity(vendor_, config_.ueid, now_).chain.back(); }

  void add_report() {
    config_.ueid = random_.bytes(config_.ueid.size());
    config_.ueid.front() = 0x01;
    attest::Request request{aud_,         random_.bytes(32), mek_id_,
                            std::nullopt, now_ + 3600,       {attest::SessionKeyType::P256}};
    const auto statement = device::make_statement(
        config_, boot_, device::make_card_identity(vendor_, config_.ueid, now_), request);
    const Bytes evidence = device::encode_evidence(statement);
    reports_.push_back({"report", evidence, sha256(evidence)});
    audit::Challenge challenge;
    challenge.nonce = request.nonce;
    challenge.mek_id = mek_id_;
    challenge.made = now_ - 60;
    challenge.expires = request.expiry;
    state_.challenges[request.nonce] = challenge;
  }

  Workspace work_;
  SystemRandom random_;
  UnixTime now_;
  device::Vendor vendor_ = device::make_vendor(now_);
  device::CardConfig config_;
  device::BootState boot_;
  Bytes aud_ = Bytes(16, 0x61), mek_id_ = Bytes(16, 0x6d);
  policy::Policy policy_;
  trust::Trust trust_;
  audit::State state_;
  std::vector<release::Report> reports_;
};

void run(unsigned rounds, std::size_t count) {
  print_machine();
  const Desk desk(count);
  const BareVerify bare;
  std::printf("%zu distinct reports, one thread; %u rounds after one that does not count\n\n", count, rounds);
  const auto units = static_cast<double>(count);
  const auto rows = measure({{"bare ECDSA P-384, 2 a report", units, [&] { bare.reports(count); }},
                             {"attestation", units, [&] { desk.verify(false); }},
                             {"attestation and policy", units, [&] { desk.verify(true); }}},
                            rounds);
  print_table(rows, {"reports", 1});
  std::printf("\n");
  print_ratio(rows, "attestation and policy", "bare ECDSA P-384, 2 a report", 0.8, &Cost::cpu);
}

}  // namespace

}  // namespace qpcseal::bench

int main(int argc, char** argv) {
  std::size_t count = 10000;
  const auto options = qpcseal::bench::parse_options(
      argc, argv, "Verifying attestation reports on one core",
      [&](CLI::App& app) { app.add_option("--reports", count, "How many")->capture_default_str(); });
  return qpcseal::bench::guarded([&] { qpcseal::bench::run(options.rounds, count); });
}
