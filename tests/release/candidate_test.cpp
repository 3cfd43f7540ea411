// SPDX-License-Identifier: Apache-2.0
// Releases that were begun in another format, and policies whose schemes nobody can verify.
#include "appliance/release/candidate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/base/finding_ids.h"
#include "tests/release/judged.h"

namespace qpcseal::release {
namespace {

using qpcseal::testing::ids;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Candidates : public ::testing::Test {
 protected:
  testing::TestCard card;
  testing::PolicyFixture desk = testing::desk_for(card);
  Report report{"report", card.report(), sha256(card.report())};

  // The release of this report is open, with this wrapped.
  void open_release(const encoding::Json& wrapped) { desk.open_release(report.digest, wrapped); }
  [[nodiscard]] Findings in_format(std::string_view format) const {
    std::vector<ReleaseItem> items(1);
    items[0].report = &report;
    items[0].verified = verify_attestation(report, desk.policy, desk.trust, desk.now);
    find_other_format(desk.state, format, items);
    return items[0].obstacle;
  }
  void name_scheme(const std::string& id) { desk.policy.devices[0].scheme.value = id; }
  [[nodiscard]] Verified verify(const audit::State* state) const {
    return verify_attestation(report, desk.policy, desk.trust, desk.now, state);
  }
};

TEST_F(Candidates, GoOnInTheFormatThatTheirReleaseWasBegunIn) {
  open_release({{"wrapped_sha256", std::string(64, '1')}});
  EXPECT_THAT(in_format("qpcseal"), IsEmpty());
  const Findings other = in_format("vendor");
  ASSERT_THAT(ids(other), ElementsAre("POL-FORMAT-BEGUN"));
  EXPECT_EQ(other[0].expected, "qpcseal");
  open_release({{"exposed", encoding::Json::object()}});
  EXPECT_THAT(in_format("vendor"), IsEmpty());
  EXPECT_THAT(ids(in_format("qpcseal")), ElementsAre("POL-FORMAT-BEGUN"));
}

TEST_F(Candidates, BeginInEitherFormatWhereNothingWasWrapped) {
  EXPECT_THAT(in_format("vendor"), IsEmpty());
  open_release(nullptr);
  EXPECT_THAT(in_format("vendor"), IsEmpty());
  EXPECT_THAT(in_format("qpcseal"), IsEmpty());
}

TEST_F(Candidates, AreVerifiedBySchemesThatThisProgramKnows) {
  name_scheme("eat-cards");
  EXPECT_ERROR(Denied, "the policy names scheme 'eat-cards', which this program does not know",
               verify(&desk.state));
}

TEST_F(Candidates, AreVerifiedByProgramsThatTheSitePins) {
  name_scheme("external:maker");
  EXPECT_TRUE(names_external(desk.policy));
  EXPECT_ERROR(Denied, "evidence of scheme 'external:maker' is verified by a program of the site's alone",
               verify(nullptr));
  EXPECT_ERROR(Denied, "names scheme 'external:maker', and the site's facts pin no such program",
               verify(&desk.state));
}

}  // namespace
}  // namespace qpcseal::release
