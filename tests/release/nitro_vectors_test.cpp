// SPDX-License-Identifier: Apache-2.0
// The published Nitro documents on the path of a release: held against a policy that names what they
// measured, and a challenge with their nonce.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attest/scheme.h"
#include "tests/attest/vectors.h"
#include "tests/release/judged.h"

namespace qpcseal::testing {
namespace {

using Ids = std::set<std::string>;

class NitroDocuments : public ::testing::Test {
 protected:
  void SetUp() override {
    dir = vectors_folder();
    if (!dir) GTEST_SKIP() << "QPCSEAL_VECTORS is not set";
  }
  [[nodiscard]] Bytes document(const std::string& name) const {
    return read_vector(*dir, "nitro/" + name + "-attestation-doc-bytes");
  }
  [[nodiscard]] Bytes root() const {
    const Bytes pem = read_vector(*dir, "nitro/nitro.pem");
    const Owned<BIO, BIO_free_all> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    const CertPtr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    Bytes der(static_cast<std::size_t>(i2d_X509(certificate.get(), nullptr)));
    unsigned char* at = der.data();
    i2d_X509(certificate.get(), &at);
    return der;
  }
  // Where nothing speaks against the document but what it says, or does not say, itself.
  [[nodiscard]] PolicyFixture desk_for_document(const Bytes& report, const char* time) const {
    PolicyFixture desk = desk_for(TestEnclave());
    const attest::Claims claims = attest::find_scheme("aws-nitro")->inspect(report).claims.value();
    policy::DeviceClass& device = desk.policy.devices[0];
    device.roots.value = {copy(sha256(root()))};
    device.ueids.value = {claims.ueid};
    device.measurements.clear();
    for (const attest::Measurement& m : claims.measurements)
      device.measurements.push_back({m.name, {m.digest}, {}, 0, 1});
    desk.trust.roots = {{"nitro.pem", root()}};
    desk.now = parse_time(time);
    desk.policy.expires.value = desk.now + kDay;
    audit::Challenge challenge = desk.challenge();
    challenge.nonce = claims.nonce;
    challenge.made = desk.now - 60;
    challenge.expires = desk.now + 60;
    desk.state.challenges = {{claims.nonce, challenge}};
    return desk;
  }
  std::optional<std::filesystem::path> dir;
};

TEST_F(NitroDocuments, TheValidOneLacksButAudienceAndSessionKey) {
  const Bytes report = document("valid");
  const PolicyFixture desk = desk_for_document(report, "2022-10-13T08:58:02Z");
  const Judged judged = desk.judge(report);
  EXPECT_FALSE(judged.released);
  EXPECT_EQ(judged.ids, (Ids{"POL-AUD", "POL-SESSION-KEY", "POL-SUITE", "POL-SUITE-KEY"}));
}

TEST_F(NitroDocuments, TheDebugOneIsDeniedByPolicy) {
  const Bytes report = document("debug-mode");
  const PolicyFixture desk = desk_for_document(report, "2022-10-12T13:50:06Z");
  const Judged judged = desk.judge(report);
  EXPECT_FALSE(judged.released);
  EXPECT_TRUE(judged.ids.contains("POL-DBGSTAT"));
  PolicyFixture open = desk;
  open.policy.devices[0].min_dbgstat.value = 0;
  Ids others = judged.ids;
  others.erase("POL-DBGSTAT");
  EXPECT_EQ(open.judge(report).ids, others);
}

TEST_F(NitroDocuments, OutsideTheirTimeTheyAreRefused) {
  for (const auto& [name, time] :
       {std::pair{"valid", "2022-10-13T08:58:02Z"}, std::pair{"debug-mode", "2022-10-12T13:50:06Z"}}) {
    const Bytes report = document(name);
    for (const UnixTime away : {-4 * 3600, 4 * 3600}) {
      PolicyFixture desk = desk_for_document(report, time);
      desk.now += away;
      EXPECT_EQ(desk.judge(report).ids, Ids{"ATT-CHAIN-TIME"}) << name;
    }
  }
}

}  // namespace
}  // namespace qpcseal::testing
