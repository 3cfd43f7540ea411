// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/made_from.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/models/model_files.h"

namespace qpcseal::models {
namespace {

using qpcseal::testing::build_qpc;
using qpcseal::testing::Flavour;
using qpcseal::testing::put;
using qpcseal::testing::QpcSegment;
using qpcseal::testing::set_changed;
using qpcseal::testing::usual_segments;

using Segments = std::vector<QpcSegment>;
constexpr const char* kOtherSegments = "its segments are not the input's";

// An input, what was sealed of it, and why another input or plan does not make the same.
class MadeFrom : public qpcseal::testing::Models {
 protected:
  Segments segments = usual_segments();
  SealModelOptions options = options_for(folder / "input/model.qpc");
  Bytes mek_id = mek.id;

  // A model of one part, or of two where `right` has segments.
  [[nodiscard]] Bytes model(const Segments& whole, const Segments& right = {}) const {
    if (right.empty()) return build_qpc(whole, Flavour::File);
    return build_qpc({{"left", build_qpc(whole, Flavour::File)}, {"right", build_qpc(right, Flavour::File)}},
                     Flavour::File);
  }
  [[nodiscard]] SealedFile seal(const Bytes& qpc) {
    std::filesystem::remove_all(folder / "out");
    return std::move(open_sealed(sealed(qpc, "out"), "elsewhere").files.front());
  }
  [[nodiscard]] std::string differs(const SealedFile& file) const {
    const Fd input = open_to_read(options.qpc);
    const qpc::Container container = qpc::Container::read(input);
    return differs_from_plan(file, plan_sealing(appliance, mek, options, input, container), mek_id);
  }
  // Of what was sealed of `before`, where `now` has its place.
  [[nodiscard]] std::string differs(const Bytes& before, const Bytes& now) {
    const SealedFile file = seal(before);
    put(options.qpc, now);
    return differs(file);
  }
  // Of a model whose segments `change` changes.
  [[nodiscard]] std::string changed(const std::function<void(Segments&)>& change) {
    Segments other = segments;
    change(other);
    return differs(model(segments), model(other));
  }
};

TEST_F(MadeFrom, TheSameInputIsMade) { EXPECT_EQ(differs(model(segments), model(segments)), ""); }

TEST_F(MadeFrom, AModelInPartitionsIsMade) {
  EXPECT_EQ(differs(model(segments, segments), model(segments, segments)), "");
}

TEST_F(MadeFrom, AnotherMekIsNamed) {
  const SealedFile file = seal(model(segments));
  mek_id[0] ^= 1;
  EXPECT_EQ(differs(file), "it is sealed under another MEK");
}

TEST_F(MadeFrom, AnotherNameOrVersionIsNamed) {
  const SealedFile file = seal(model(segments));
  options.model_version = 1;
  EXPECT_EQ(differs(file), "it is of another model or version");
  options.model_version = 0;
  options.model_name = "other";
  EXPECT_EQ(differs(file), "it is of another model or version");
  options.model_name = "model";
  EXPECT_EQ(differs(file), "");
}

TEST_F(MadeFrom, AnInputThatChangedLaterIsNamed) {
  const SealedFile file = seal(model(segments));
  const UnixTime made = file.tree.root().manifest.created;
  set_changed(options.qpc, made);
  EXPECT_EQ(differs(file), "") << "in the second of the sealing";
  set_changed(options.qpc, made + 1);
  EXPECT_EQ(differs(file), "the input was changed after it was sealed");
}

TEST_F(MadeFrom, ClearContentIsCompared) {
  EXPECT_EQ(changed([](Segments& all) { all[3].data.back() ^= 1; }), kOtherSegments);
}

// What lies in a second piece of the digest too.
TEST_F(MadeFrom, AllOfAClearSegmentIsCompared) {
  segments[3].data.assign((std::size_t{1} << seal::kDefaultChunkLog2) + 1, 2);
  EXPECT_EQ(changed([](Segments&) {}), "");
  EXPECT_EQ(changed([](Segments& all) { all[3].data.back() ^= 1; }), kOtherSegments);
}

TEST_F(MadeFrom, SealedContentIsNot) {
  EXPECT_EQ(changed([](Segments& all) { all[1].data.back() ^= 1; }), "") << "nobody can, without the key";
}

TEST_F(MadeFrom, SizesNamesOffsetsAndRowsAreCompared) {
  EXPECT_EQ(changed([](Segments& all) { all[1].data.push_back(1); }), kOtherSegments)
      << "a sealed one's size";
  EXPECT_EQ(changed([](Segments& all) { --all[1].offset; }), kOtherSegments);
  EXPECT_EQ(changed([](Segments& all) { all.push_back({"more", Bytes(1), 0}); }), kOtherSegments);
  EXPECT_EQ(changed([](Segments& all) { std::swap(all[0], all[1]); }), kOtherSegments);
  segments.push_back({"more", Bytes(1), 0});
  EXPECT_EQ(changed([](Segments& all) { all.back().name = "less"; }), kOtherSegments);
}

TEST_F(MadeFrom, WhatIsToBeSealedIsCompared) {
  segments.push_back({"more", Bytes(3), 0});
  const SealedFile file = seal(model(segments));
  const Fd input = open_to_read(options.qpc);
  const qpc::Container container = qpc::Container::read(input);
  SealPlan plan = plan_sealing(appliance, mek, options, input, container);
  plan.options.segments.emplace_back("more");
  EXPECT_EQ(differs_from_plan(file, plan, mek.id), kOtherSegments) << "it is clear";
  plan.options.segments = {"network.elf"};
  EXPECT_EQ(differs_from_plan(file, plan, mek.id), kOtherSegments) << "constants.bin is sealed";
  plan.options.segments.emplace_back("constants.bin");
  EXPECT_EQ(differs_from_plan(file, plan, mek.id), "");
  plan.options.clear["constants.bin"] = {{0, 8}};
  EXPECT_EQ(differs_from_plan(file, plan, mek.id), kOtherSegments) << "and whole";
}

TEST_F(MadeFrom, PartitionsAreCompared) {
  Segments other = segments;
  other[3].data.back() ^= 1;
  EXPECT_EQ(differs(model(segments, segments), model(segments, other)), kOtherSegments);
}

TEST_F(MadeFrom, AnotherOrderOfTheCardsIsNamed) {
  const Bytes qpc = model(segments, segments);
  const SealedFile file = seal(qpc);
  const Fd input = open_to_read(options.qpc);
  const qpc::Container container = qpc::Container::read(input);
  SealPlan plan = plan_sealing(appliance, mek, options, input, container);
  std::swap(plan.partitions[0], plan.partitions[1]);
  EXPECT_EQ(differs_from_plan(file, plan, mek.id), kOtherSegments);
  std::swap(plan.partitions[0], plan.partitions[1]);
  plan.partitions.pop_back();
  EXPECT_EQ(differs_from_plan(file, plan, mek.id), kOtherSegments) << "of one card less";
}

}  // namespace
}  // namespace qpcseal::models
