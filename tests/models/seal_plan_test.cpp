// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/seal_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/models/seal_model_options.h"
#include "tests/base/expect_error.h"
#include "tests/models/model_files.h"
#include "tests/qpc/elf_builder.h"

namespace qpcseal::models {
namespace {

using qpcseal::testing::build_qpc;
using qpcseal::testing::Flavour;
using qpcseal::testing::put;
using qpcseal::testing::qpc_of_two;
using qpcseal::testing::QpcSegment;
using qpcseal::testing::usual_segments;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A model for tests, open, and the plans for it.
class SealPlans : public qpcseal::testing::Models {
 protected:
  SealModelOptions options = options_for(folder / "model.qpc");
  std::uint64_t before = 0;  // encryptions of a set

  // Plans to seal this model, which stays open while the plan is used.
  SealPlan plan(const Bytes& qpc) {
    input_ = open_to_read(put(options.qpc, qpc));
    container_ = qpc::Container::read(input_);
    return plan_sealing(appliance, mek, options, input_, container_, before);
  }
  SealPlan plan(const std::vector<QpcSegment>& segments) { return plan(build_qpc(segments, Flavour::File)); }
  // The usual segments without this one.
  static std::vector<QpcSegment> without(const std::string& name) {
    std::vector<QpcSegment> out = usual_segments();
    std::erase_if(out, [&](const QpcSegment& segment) { return segment.name == name; });
    return out;
  }
  static Bytes in_two(const std::vector<QpcSegment>& right) {
    return build_qpc(
        {{"left", build_qpc(usual_segments(), Flavour::File)}, {"right", build_qpc(right, Flavour::File)}},
        Flavour::File);
  }

 private:
  Fd input_;
  qpc::Container container_;
};

TEST_F(SealPlans, SealWhatThePolicyNamesAndTheModelHas) {
  const SealPlan usual = plan(usual_segments());
  EXPECT_EQ(usual.parts(), 1U);
  EXPECT_THAT(usual.partitions, IsEmpty());
  EXPECT_THAT(usual.sealed_segments(), ElementsAre("network.elf", "constants.bin"));
  EXPECT_EQ(usual.options.created, appliance.now());
  std::vector<QpcSegment> empty = usual_segments();
  empty[1] = {"constants.bin", {}, 0};
  EXPECT_THAT(plan(empty).sealed_segments(), ElementsAre("network.elf")) << "an empty one is not sealed";
}

TEST_F(SealPlans, SealPartitionsAndNothingAroundThem) {
  const SealPlan two = plan(qpc_of_two());
  EXPECT_EQ(two.parts(), 2U);
  EXPECT_THAT(two.options.segments, IsEmpty());
  EXPECT_THAT(two.sealed_segments(), ElementsAre("left/network.elf", "left/constants.bin",
                                                 "right/network.elf", "right/constants.bin"));
}

TEST_F(SealPlans, TakeTheOrderOfTheCardsFromTheMetadata) {
  options = {};
  options.qpc = folder / "model.qpc";
  EXPECT_ERROR(Malformed, "mdp_meta_info", plan(qpc_of_two())) << "without it a person must choose";
  const auto with_order = [](const std::string& json) {
    return build_qpc({{"left", testing::usual_qpc()},
                      {"right", testing::usual_qpc()},
                      {kPartitionInfo, copy(view(json)), 0}},
                     Flavour::File);
  };
  EXPECT_EQ(plan(with_order(R"(["right", "left"])")).partitions.at(0).name, "right");
}

TEST_F(SealPlans, KnowSizeAndEncryptionsOfWhatIsMade) {
  const std::uint64_t used = encryptions();
  const SealPlan two = plan(qpc_of_two());
  const auto made = sealed(qpc_of_two(), "out");
  EXPECT_EQ(two.size(), std::filesystem::file_size(made));
  EXPECT_EQ(encryptions(), used + two.encryptions());
}

TEST_F(SealPlans, RefuseWhatNoCardCanLoad) {
  const auto refused = [&](const std::vector<QpcSegment>& segments, const std::string& lacks) {
    options.incomplete = false;
    EXPECT_ERROR(Malformed, "no card can load it: " + lacks, plan(segments));
    options.incomplete = true;
    EXPECT_NO_THROW(plan(segments)) << lacks;
  };
  std::vector<QpcSegment> empty = usual_segments();
  empty[0].data.clear();
  refused(without("network.elf"), "it has no network.elf, or an empty one");
  refused(empty, "it has no network.elf, or an empty one");
  refused(without("networkdesc.bin"), "it has no networkdesc.bin, or an empty one");
  refused(without("constantsdesc.bin"),
          "it has one of constants.bin and constantsdesc.bin without the other");
  refused(without("constants.bin"), "it has one of constants.bin and constantsdesc.bin without the other");
}

TEST_F(SealPlans, NameThePartitionThatNoCardCanLoad) {
  EXPECT_ERROR(Malformed, "partition 'right': no card can load it: it has no networkdesc.bin",
               plan(in_two(without("networkdesc.bin"))));
}

TEST_F(SealPlans, AreDeniedWhereNothingWouldBeSealed) {
  options.incomplete = true;
  EXPECT_ERROR(Denied, "sealing is denied: POL-SEGMENTS", plan({{"readme", Bytes(3, 'r'), 0}}));
  EXPECT_ERROR(Denied, "sealing partition 'right' is denied: POL-SEGMENTS",
               plan(in_two({{"readme", Bytes(3, 'r'), 0}})));
}

TEST_F(SealPlans, AreDeniedWithFindings) {
  options.mode = seal::Mode::Envelope;
  try {
    plan(usual_segments());
    FAIL() << "the policy allows mode token alone";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Denied);
    EXPECT_STREQ(error.what(), "sealing is denied: POL-MODE");
    ASSERT_EQ(error.findings().size(), 1U);
    EXPECT_EQ(error.findings()[0].observed, "envelope");
    EXPECT_EQ(error.findings()[0].expected, "token");
  }
}

TEST_F(SealPlans, CountTheEncryptionsOfASet) {
  const std::uint64_t allowed = appliance.policy().mek(mek.label)->max_encryptions.value - encryptions();
  before = allowed - plan(qpc_of_two()).encryptions();
  EXPECT_NO_THROW(plan(qpc_of_two())) << "the last ones";
  ++before;
  EXPECT_ERROR(Denied, "sealing partition 'left' is denied: POL-ENCRYPTIONS", plan(qpc_of_two()));
}

TEST_F(SealPlans, NameTheModelByItsFile) {
  EXPECT_EQ(plan(usual_segments()).options.model_name, "model");
  options.model_name = "net v2";
  options.model_version = 7;
  EXPECT_EQ(plan(usual_segments()).options.model_name, "net v2");
  EXPECT_EQ(plan(usual_segments()).options.model_version, 7U);
}

TEST_F(SealPlans, RefuseANameThatNoModelHas) {
  options.model_name.assign(128, 'n');
  EXPECT_NO_THROW(plan(usual_segments()));
  options.model_name += 'n';
  EXPECT_ERROR(Usage, "the model's name has 129 bytes, allowed are 1 to 128", plan(usual_segments()));
}

TEST_F(SealPlans, TellWhatStaysReadable) {
  std::vector<QpcSegment> segments = usual_segments();
  segments[0].data = testing::build_elf({{".text", Bytes(64, 't')}, {"metadata", Bytes(16, 'm')}}).bytes;
  const SealPlan made = plan(segments);
  ASSERT_EQ(made.readable.size(), 3U) << "nobody reads constants.bin";
  EXPECT_EQ(made.readable[0].segment, "network.elf");
  EXPECT_TRUE(made.readable[0].sealed);
  EXPECT_THAT(made.readable[0].sections, ElementsAre("metadata"));
  EXPECT_EQ(made.readable[0].why_whole, "");
  EXPECT_EQ(made.options.clear.count("network.elf"), 1U);
  EXPECT_EQ(made.readable[1].segment, "constantsdesc.bin");
  EXPECT_FALSE(made.readable[1].sealed);
}

TEST_F(SealPlans, TellWhyAHostCannotRead) {
  const SealPlan made = plan(qpc_of_two());
  ASSERT_EQ(made.readable.size(), 6U);
  EXPECT_EQ(made.readable[3].segment, "right/network.elf");
  EXPECT_THAT(made.readable[3].sections, IsEmpty());
  EXPECT_EQ(made.readable[3].why_whole, "it is no ELF file");
  EXPECT_THAT(made.partitions[1].clear, IsEmpty());
}

}  // namespace
}  // namespace qpcseal::models
