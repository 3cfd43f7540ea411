// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/seal_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/mek/rotate.h"
#include "appliance/models/seal_input.h"
#include "tests/base/expect_error.h"
#include "tests/models/model_files.h"
#include "tests/models/officers_desk.h"

namespace qpcseal::models {
namespace {

namespace fs = std::filesystem;
using encoding::Json;
using qpcseal::testing::content;
using qpcseal::testing::put;
using qpcseal::testing::set_changed;
using qpcseal::testing::usual_qpc;
using ::testing::ElementsAre;

// Two models and two other files in a folder `served`.
class SealSet : public qpcseal::testing::Models {
 protected:
  fs::path served = folder / "served", out = folder / "out";
  SealSetOptions options{{served}, options_for({}), false};

  SealSet() {
    put(served / "a/m.qpc", usual_qpc());
    put(served / "b.json", "{}");
    put(served / "c.qpc", usual_qpc());
    put(served / "d.txt", "tokens");
  }
  SealSetResult seal(const seal::Progress& progress = {}) {
    return seal_set(appliance, mek, options, progress);
  }
  // Seals with an input that changes while the first model is sealed, so that the second one fails.
  void fail_at_the_second_model() {
    while_sealing([&] { set_changed(served / "c.qpc", testing::kTestNow - 1); });
    EXPECT_ERROR(Io, "'c.qpc' of the set: the input was written to while it was sealed", seal());
  }
};

TEST_F(SealSet, SealsModelsAndCopiesTheRest) {
  const SealSetResult made = seal();
  EXPECT_EQ(made.output, out);
  EXPECT_EQ(made.name, "served");
  ASSERT_EQ(made.models.size(), 2U);
  EXPECT_EQ(made.models[0].path, "a/m.qpc");
  EXPECT_FALSE(made.models[0].skipped);
  EXPECT_THAT(made.models[0].segments, ElementsAre("network.elf", "constants.bin"));
  ASSERT_EQ(made.others.size(), 2U);
  EXPECT_EQ(made.others[1].digest, sha256(view("tokens")));
  EXPECT_EQ(content(out / "b.json"), copy(view("{}")));
  const SealedInput sealed = open_sealed(out, "elsewhere");
  EXPECT_NO_THROW(require_sealed_here(sealed, appliance.log().state()));
  EXPECT_EQ(sealed.set.value().manifest.created, appliance.now());
  EXPECT_EQ(sha256(sealed.set->signed_set.manifest), made.manifest_digest);
}

TEST_F(SealSet, IsOneActAroundThoseOfItsModels) {
  const SealSetResult made = seal();
  EXPECT_THAT(demo().last_entries(6),
              ElementsAre("seal-set", "seal", "seal ok", "seal", "seal ok", "seal-set ok"));
  EXPECT_EQ(logged(5), (Json{{"mek_id", to_hex(mek.id)},
                             {"mek", mek.label},
                             {"model", "served"},
                             {"model_version", 0},
                             {"models", 2},
                             {"files", 4}}));
  EXPECT_EQ(logged(4)["set"], entries() - 6);
  EXPECT_EQ(logged(2)["set"], entries() - 6);
  EXPECT_EQ(logged(0), (Json{{"set_id", to_hex(read_set(out)->manifest.set_id)},
                             {"manifest_sha256", to_hex(made.manifest_digest)}}));
}

TEST_F(SealSet, GivesAllModelsItsNameAndVersion) {
  options.model.model_name = "net";
  options.model.model_version = 3;
  EXPECT_EQ(seal().name, "net");
  for (const SealedFile& file : open_sealed(out, "elsewhere").files) {
    EXPECT_EQ(file.tree.root().manifest.model_name, "net");
    EXPECT_EQ(file.tree.root().manifest.model_version, 3U);
  }
}

TEST_F(SealSet, AppearsWithItsListLast) {
  std::vector<std::string> there;  // when a file was copied
  seal([&](std::uint64_t, std::uint64_t) {
    EXPECT_FALSE(fs::exists(out / "seal.set"));
    there.push_back(std::string(fs::exists(out / "a/m.qpc") ? "first " : "") +
                    (fs::exists(out / "c.qpc") ? "second" : ""));
  });
  EXPECT_THAT(there, ElementsAre("first ", "first second"));
  EXPECT_TRUE(fs::exists(out / "seal.set"));
}

TEST_F(SealSet, TellsHowFarItCame) {
  std::uint64_t last = 0, total = 0;
  seal([&](std::uint64_t done, std::uint64_t all) {
    EXPECT_GE(done, last);
    EXPECT_TRUE(total == 0 || total == all);
    last = done;
    total = all;
  });
  EXPECT_EQ(total, (2 * usual_qpc().size()) + 2 + 6);
  EXPECT_EQ(last, total);
}

TEST_F(SealSet, JudgesAllInputsBeforeItSealsOne) {
  const std::uint64_t before = entries();
  put(served / "c.qpc", testing::build_qpc({{"network.elf", Bytes(3), 0}}, testing::Flavour::File));
  EXPECT_ERROR(Malformed, "'c.qpc' of the set: no card can load it", seal());
  EXPECT_EQ(entries(), before);
  EXPECT_FALSE(fs::exists(out));
  put(served / "c.qpc", content(sealed(usual_qpc(), "sealed")));
  const std::uint64_t then = entries();
  EXPECT_ERROR(Malformed, "'c.qpc' of the set: ", seal()) << "sealed already";
  EXPECT_EQ(entries(), then);
}

TEST_F(SealSet, RefusesReports) {
  options.model.reports.resize(1);
  EXPECT_ERROR(Usage, "a set is sealed unbound", seal());
}

TEST_F(SealSet, RefusesToSkipAndToReplace) {
  options.skip_existing = true;
  options.model.existing = Existing::Replace;
  EXPECT_ERROR(Usage, "give --skip-existing or --force, not both", seal());
}

TEST_F(SealSet, RefusesAKeyThatWasReplaced) {
  const keys::Mek old = mek::generate(appliance, "old-of-set");
  mek::rotate(appliance, "old-of-set");
  EXPECT_ERROR(Denied, "old-of-set#1 seals nothing more", seal_set(appliance, old, options, {}));
}

TEST_F(SealSet, RefusesMoreModelsThanASetHas) {
  for (int i = 0; i < 255; ++i) put(served / ("e" + std::to_string(i)), usual_qpc());
  EXPECT_ERROR(Usage, "a set has at most 256 QPCs, and there are 257", seal());
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(SealSet, RefusesNamesThatAreTaken) {
  const std::uint64_t before = entries();
  put(out / "d.txt", "tokens");
  EXPECT_ERROR(Io, (out / "d.txt").string() + " exists", seal()) << "of the same content too";
  fs::remove(out / "d.txt");
  put(out / "a/m.qpc", "another's");
  EXPECT_ERROR(Io, (out / "a/m.qpc").string() + " exists", seal());
  fs::remove(out / "a/m.qpc");
  put(out / "seal.set", "another's");
  EXPECT_ERROR(Io, (out / "seal.set").string() + " exists", seal());
  EXPECT_EQ(entries(), before);
}

TEST_F(SealSet, ReplacesWhatIsThereWhereItMay) {
  put(out / "d.txt", "old");
  put(out / "c.qpc", "old");
  put(out / "seal.set", "old");
  options.model.existing = Existing::Replace;
  seal();
  EXPECT_EQ(content(out / "d.txt"), copy(view("tokens")));
  EXPECT_NO_THROW(check_set(read_set(out).value(), out));
}

TEST_F(SealSet, ThatFailsIsNoSetAndKeepsWhatIsSealed) {
  fail_at_the_second_model();
  EXPECT_THAT(demo().last_entries(6),
              ElementsAre("seal-set", "seal", "seal ok", "seal", "seal failed", "seal-set failed"));
  EXPECT_FALSE(fs::exists(out / "seal.set"));
  EXPECT_TRUE(fs::exists(out / "a/m.qpc"));
  EXPECT_FALSE(fs::exists(out / "c.qpc"));
}

TEST_F(SealSet, GoesOnWithWhatAnEarlierRunSealed) {
  fail_at_the_second_model();
  const Bytes first = content(out / "a/m.qpc");
  options.skip_existing = true;
  const SealSetResult made = seal();
  EXPECT_THAT(demo().last_entries(4), ElementsAre("seal-set", "seal", "seal ok", "seal-set ok"));
  EXPECT_TRUE(made.models.at(0).skipped);
  EXPECT_FALSE(made.models.at(1).skipped);
  EXPECT_EQ(content(out / "a/m.qpc"), first);
  EXPECT_NO_THROW(check_set(read_set(out).value(), out));
}

TEST_F(SealSet, GoesOnWhereItIsWhole) {
  seal();
  options.skip_existing = true;
  EXPECT_TRUE(seal().models.at(1).skipped);
  EXPECT_THAT(demo().last_entries(2), ElementsAre("seal-set", "seal-set ok")) << "with a new list";
}

TEST_F(SealSet, SkipsNothingThatWasNotMadeFromItsInput) {
  fail_at_the_second_model();
  options.skip_existing = true;
  options.model.model_version = 1;
  EXPECT_ERROR(Usage, (out / "a/m.qpc").string() + " was not made from this input: it is of another model",
               seal());
  options.model.model_version = 0;
  put(out / "b.json", "[]");
  EXPECT_ERROR(Usage, (out / "b.json").string() + " was not made from this input: it has another content",
               seal());
  EXPECT_EQ(content(out / "b.json"), copy(view("[]")));
}

TEST_F(SealSet, SkipsNoContainerOfAnotherAppliance) {
  fail_at_the_second_model();
  options.skip_existing = true;
  Bytes bytes = content(out / "a/m.qpc");
  const auto tree = seal::SealedTree::read(open_to_read(out / "a/m.qpc"));
  const auto& segments = tree.root().container.layout().segments;
  bytes.at(std::ranges::find(segments, "seal.sig", &qpc::Segment::name)->data_position) ^= 1;
  put(out / "a/m.qpc", bytes);
  EXPECT_ERROR(Denied, "a/m.qpc: seal.sig is not this appliance's signature", seal());
}

TEST_F(SealSet, ListsNoFileThatAppearsBehindItsJudgement) {
  while_sealing([&] { put(out / "b.json", "another's"); });
  EXPECT_ERROR(Io, "'b.json' of the set: " + (out / "b.json").string() + " exists", seal());
  EXPECT_FALSE(fs::exists(out / "seal.set"));
}

TEST_F(SealSet, ListsNoKeptFileThatChangesBehindItsJudgement) {
  put(out / "b.json", "{}");
  options.skip_existing = true;
  while_sealing([&] { put(out / "b.json", "another's"); });
  EXPECT_ERROR(Usage, (out / "b.json").string() + " was not made from this input: it has another content",
               seal());
  EXPECT_FALSE(fs::exists(out / "seal.set"));
}

TEST_F(SealSet, ListsNoKeptModelThatChangesBehindItsJudgement) {
  seal();
  const Bytes first = content(out / "a/m.qpc");
  fs::remove(out / "a/m.qpc");
  options.skip_existing = true;
  while_sealing([&] { put(out / "c.qpc", first); });
  EXPECT_ERROR(Io, (out / "c.qpc").string() + " changed while this run was at work", seal());
  EXPECT_THAT(demo().last_entries(1), ElementsAre("seal-set failed"));
}

TEST_F(SealSet, IsDoneWithAFaultWhereItsNameIsTakenMeanwhile) {
  while_sealing([&] { put(out / "seal.set", "another's"); });
  EXPECT_ERROR(DoneWithFault, "the set is sealed and logged; " + (out / "seal.set").string() + " exists",
               seal());
  EXPECT_THAT(demo().last_entries(1), ElementsAre("seal-set ok"));
}

TEST_F(SealSet, LeavesAModelLoggedWhoseNameIsTakenMeanwhile) {
  while_sealing([&] { put(out / "a/m.qpc", "another's"); });
  EXPECT_ERROR(DoneWithFault, "'a/m.qpc' of the set: the model is sealed and logged; ", seal());
  EXPECT_THAT(demo().last_entries(3), ElementsAre("seal", "seal ok", "seal-set failed"));
}

// With an officer who looks at the inputs, and a few encryptions.
class ApprovedSet : public OfficersDesk {
 protected:
  fs::path served = folder / "served", out = folder / "out";
  SealSetOptions options;
  ApprovedSet() {
    put(served / "a.qpc", usual_qpc());
    put(served / "b.json", "{}");
    options.inputs = {served};
    options.model.output_folder = out;
  }
  SealSetResult seal() { return seal_set(appliance, mek, options, {}); }
};

TEST_F(ApprovedSet, IsTheOneThatOfficersSee) {
  Json asked;
  const Json agreed = approval();
  ask([&](const std::string&, const Json& parameters) {
    asked = parameters;
    return agreed;
  });
  EXPECT_NO_THROW(seal());
  const std::string digest = to_hex(read_seal_input({served}).digest);
  EXPECT_EQ(asked["input_sha256"], digest);
  EXPECT_EQ(asked["model"], "served");
  EXPECT_EQ(logged(3)["input_sha256"], digest) << "of the intent of the set";
  EXPECT_EQ(logged(3)["approval"], agreed);
  EXPECT_FALSE(logged(2).contains("approval")) << "the models name the set";
}

TEST_F(ApprovedSet, LeavesNothingWhereOfficersHaveNotAgreed) {
  const std::uint64_t before = entries();
  EXPECT_ERROR(ApprovalsMissing, "this appliance has no officers", seal());
  EXPECT_EQ(entries(), before);
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(ApprovedSet, IsRefusedWhereAFileChangesBehindTheApproval) {
  ask([&](const std::string&, const Json&) {
    put(served / "b.json", "[]");
    return approval();
  });
  EXPECT_ERROR(Denied, "'b.json' of the set: it is not what officers approved", seal());
  EXPECT_THAT(demo().last_entries(1), ElementsAre("seal-set failed"));
  EXPECT_FALSE(fs::exists(out / "seal.set"));
}

TEST_F(ApprovedSet, IsRefusedWhereAModelChangesBehindTheApproval) {
  ask([&](const std::string&, const Json&) {
    set_changed(served / "a.qpc", testing::kTestNow - 1);
    return approval();
  });
  EXPECT_ERROR(Io, "'a.qpc' of the set: the input was written to while it was sealed", seal());
}

// Each alone would pass.
TEST_F(ApprovedSet, CountsTheEncryptionsOfAllItsModels) {
  ask([&](const std::string&, const Json&) { return approval(); });
  for (unsigned i = 0; i < kMaxEncryptions / 2; ++i) put(served / ("c" + std::to_string(i)), usual_qpc());
  const std::uint64_t before = entries();
  EXPECT_ERROR(Denied, "of the set: sealing is denied: POL-ENCRYPTIONS", seal());
  EXPECT_EQ(entries(), before);
}

}  // namespace
}  // namespace qpcseal::models
