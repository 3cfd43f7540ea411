// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/seal_act.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/models/model_files.h"
#include "tests/models/officers_desk.h"

namespace qpcseal::models {
namespace {

using encoding::Json;
using qpcseal::testing::build_qpc;
using qpcseal::testing::Flavour;
using qpcseal::testing::put;
using qpcseal::testing::qpc_of_two;
using ::testing::ElementsAre;

const Sha256Digest kDigest = sha256(view("input"));

TEST_F(OfficersDesk, IsAskedAboutTheDigestOfTheInput) {
  Json asked;
  ask([&](const std::string& operation, const Json& parameters) {
    asked = {{operation, parameters}};
    return Json{{"nonce", "1"}};
  });
  const Json members = approve_seal(appliance, mek, "net", [] { return kDigest; });
  EXPECT_EQ(asked, (Json{{"seal",
                          {{"mek", mek.label},
                           {"mek_id", to_hex(mek.id)},
                           {"model", "net"},
                           {"input_sha256", to_hex(kDigest)}}}}));
  EXPECT_EQ(members, (Json{{"input_sha256", to_hex(kDigest)}, {"approval", {{"nonce", "1"}}}}));
}

TEST_F(OfficersDesk, HasNotAgreed) {
  EXPECT_ERROR(ApprovalsMissing, "this appliance has no officers",
               approve_seal(appliance, mek, "net", [] { return kDigest; }));
}

// Of names that are long 65 fit beside the usual two: each counts as one that is escaped all through.
TEST_F(OfficersDesk, HasTheSegmentsNamedThatAnEntryHasRoomFor) {
  const auto seal = [&](unsigned count) {
    std::vector<testing::QpcSegment> segments = testing::usual_segments();
    for (unsigned i = 0; i < count; ++i) segments.push_back({long_name(i), Bytes(1), 0});
    const Fd input = open_to_read(put(folder / "model.qpc", build_qpc(segments, Flavour::File)));
    const qpc::Container container = qpc::Container::read(input);
    const SealPlan plan = plan_sealing(appliance, mek, options_for(folder / "model.qpc"), input, container);
    const AtomicFile output(folder / "out", Existing::Refuse);
    seal_logged(appliance, mek, plan, Json::object(), output.fd(), {});
    return logged(1);
  };
  const Json all = seal(65);
  EXPECT_EQ(all["segments"].size(), 67U);
  EXPECT_FALSE(all.contains("segments_left_out"));
  const Json more = seal(kLongNames);
  EXPECT_EQ(more["segments"].size(), 67U);
  EXPECT_EQ(more["segments_left_out"], 2U);
}

// Sealing of one model as an act, into an unnamed file.
class SealActs : public qpcseal::testing::Models {
 protected:
  Fd input = open_to_read(put(folder / "model.qpc", qpc_of_two()));
  qpc::Container container = qpc::Container::read(input);
  SealModelOptions options = options_for(folder / "model.qpc");
  AtomicFile output{folder / "out", Existing::Refuse};

  [[nodiscard]] SealPlan plan() { return plan_sealing(appliance, mek, options, input, container); }
  seal::NestedResult seal(const SealPlan& plan, const Json& under = Json::object()) {
    return seal_logged(appliance, mek, plan, under, output.fd(), {});
  }
};

TEST_F(SealActs, WithoutOfficersReadNoInput) {
  const auto digest = []() -> Sha256Digest { throw std::logic_error("the input was read"); };
  EXPECT_EQ(approve_seal(appliance, mek, "net", digest), Json::object());
}

TEST_F(SealActs, AreInTheLogBeforeAndBehind) {
  const SealPlan planned = plan();
  const std::uint64_t before = encryptions();
  bool begun = false;
  while_sealing([&] {
    begun = true;
    EXPECT_EQ(file_size(output.fd()), 0U);
    EXPECT_THAT(demo().last_entries(1), ElementsAre("seal"));
    EXPECT_EQ(encryptions(), before + planned.encryptions()) << "they count before they are made";
  });
  const seal::NestedResult made = seal(planned, {{"note", 1}});
  EXPECT_TRUE(begun);
  EXPECT_THAT(demo().last_entries(2), ElementsAre("seal", "seal ok"));
  const Json policy{{"digest", appliance.policy_digest()}, {"serial", 1}};
  EXPECT_EQ(logged(1), (Json{{"mek_id", to_hex(mek.id)},
                             {"mek", "common#1"},
                             {"mode", "token"},
                             {"partition_count", 2},
                             {"encryptions", planned.encryptions()},
                             {"model", "model"},
                             {"model_version", 0},
                             {"policy", policy},
                             {"segments", planned.sealed_segments()},
                             {"note", 1}}));
  EXPECT_EQ(logged(0), (Json{{"seal_id", to_hex(made.root.seal_id)},
                             {"manifest_sha256", to_hex(made.root.manifest_digest)},
                             {"file_size", planned.size()},
                             {"partitions", Json::array({container_json(made.partitions[0]),
                                                         container_json(made.partitions[1])})}}));
}

TEST_F(SealActs, MakeWhatTheLogNames) {
  const seal::NestedResult made = seal(plan());
  output.commit();
  const auto tree = seal::SealedTree::read(open_to_read(folder / "out"));
  EXPECT_EQ(sha256(tree.root().container.manifest()), made.root.manifest_digest);
  EXPECT_EQ(sha256(tree.partitions()[1].container.manifest()), made.partitions[1].manifest_digest);
  EXPECT_NO_THROW(require_sealed_here(open_sealed(folder / "out", "x"), appliance.log().state()));
}

TEST_F(SealActs, EndWhereTheInputWasWrittenTo) {
  const SealPlan planned = plan();
  const std::uint64_t before = encryptions();
  testing::set_changed(folder / "model.qpc", testing::kTestNow);
  EXPECT_ERROR(Io, "the input was written to while it was sealed", seal(planned));
  EXPECT_THAT(demo().last_entries(2), ElementsAre("seal", "seal failed"));
  EXPECT_EQ(logged(0), (Json{{"error", "the input was written to while it was sealed"}}));
  EXPECT_EQ(encryptions(), before + planned.encryptions()) << "they were made";
}

TEST_F(SealActs, EndWhereTheOutputCannotBeWritten) {
  const SealPlan planned = plan();
  const Fd read_only = open_to_read(put(folder / "read-only", ""));
  EXPECT_ERROR(Io, "ftruncate", seal_logged(appliance, mek, planned, Json::object(), read_only, {}));
  EXPECT_THAT(demo().last_entries(2), ElementsAre("seal", "seal failed"));
}

TEST_F(SealActs, BelongToASetThatIsOpen) {
  const std::uint64_t before = entries();
  EXPECT_ERROR(Malformed, "a seal of a set that is not open", seal(plan(), {{"set", before}}));
  EXPECT_EQ(entries(), before);
  EXPECT_EQ(file_size(output.fd()), 0U) << "nothing was sealed";
}

}  // namespace
}  // namespace qpcseal::models
