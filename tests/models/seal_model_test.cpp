// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/seal_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/mek/rotate.h"
#include "appliance/release/challenge.h"
#include "tests/base/expect_error.h"
#include "tests/models/model_files.h"

namespace qpcseal::models {
namespace {

namespace fs = std::filesystem;
using qpcseal::testing::content;
using qpcseal::testing::DemoAppliance;
using qpcseal::testing::put;
using qpcseal::testing::qpc_of_two;
using qpcseal::testing::usual_qpc;
using qpcseal::testing::usual_segments;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class SealModel : public qpcseal::testing::Models {
 protected:
  SealModelOptions options = options_for(put(folder / "model.qpc", usual_qpc()));
  fs::path output = folder / "out" / kOutputName;

  SealModel() = default;
  explicit SealModel(DemoAppliance& demo) : Models(demo, "net") {}

  SealedModel seal() { return seal_model(appliance, mek, options, {}); }
  // The card's answer to a new challenge for the key.
  [[nodiscard]] release::Report report() {
    const attest::Request request =
        release::make_requests(appliance, mek, {{demo().card.ueid, "", std::nullopt}}).front();
    demo().card.set(3, testing::cbor_text(to_hex(request.aud)));
    demo().card.set(10, testing::cbor_bytes(request.nonce));
    return signed_report();
  }
  [[nodiscard]] release::Report signed_report() const {
    Bytes bytes = demo().card.report();
    const Sha256Digest digest = sha256(bytes);
    return {"card.report", std::move(bytes), digest};
  }
  [[nodiscard]] static std::optional<seal::Slots> slots_of(const fs::path& path) {
    return open_sealed(path, "elsewhere").files.at(0).tree.loads().at(0)->slots();
  }
  [[nodiscard]] static bool holds_files(const fs::path& dir) { return fs::exists(dir) && !fs::is_empty(dir); }
  // A key of the test's own, whose cards have used up no releases.
  keys::Mek own_mek() {
    return mek::generate(appliance, ::testing::UnitTest::GetInstance()->current_test_info()->name());
  }
};

TEST_F(SealModel, MakesOneUnboundContainer) {
  options.output_folder = folder / "new/out";
  const SealedModel made = seal();
  EXPECT_EQ(made.output, folder / "new/out/programqpc.bin");
  EXPECT_THAT(made.segments, ElementsAre("network.elf", "constants.bin"));
  EXPECT_EQ(made.readable.size(), 3U);
  EXPECT_THAT(made.partitions, IsEmpty());
  EXPECT_THAT(made.grants, IsEmpty());
  EXPECT_FALSE(slots_of(made.output));
  EXPECT_EQ(model_digest(open_to_read(made.output)), made.sealed.manifest_digest);
  EXPECT_THAT(demo().last_entries(2), ElementsAre("seal", "seal ok"));
}

TEST_F(SealModel, NamesPartitionsInTheOrderOfTheCards) {
  put(options.qpc, qpc_of_two());
  const SealedModel made = seal();
  EXPECT_THAT(made.partitions, ElementsAre("left", "right"));
  EXPECT_EQ(made.segments.front(), "left/network.elf");
}

TEST_F(SealModel, RefusesWhatIsNoPlainModel) {
  const std::uint64_t before = entries();
  const std::string act = "sealing '" + options.qpc.string() + "': ";
  put(options.qpc, "ssh-ed25519 AAAA");
  EXPECT_ERROR(Malformed, act + "this is an SSH public key, not a model (QPC)", seal());
  put(options.qpc, "of no known kind, and no model");
  EXPECT_ERROR(Malformed, act, seal());
  fs::remove(options.qpc);
  EXPECT_ERROR(Io, act + options.qpc.string() + ": No such file", seal());
  EXPECT_EQ(entries(), before);
  EXPECT_FALSE(fs::exists(folder / "out")) << "a folder is made behind the judgement";
}

TEST_F(SealModel, RefusesWhatIsSealedAlready) {
  seal();
  options.qpc = output;
  options.output_folder = folder / "again";
  const std::uint64_t before = entries();
  EXPECT_ERROR(Malformed, "sealed already", seal());
  EXPECT_EQ(entries(), before) << "before anything is logged";
}

TEST_F(SealModel, RefusesWhatThePolicyDoesNotAllow) {
  const std::uint64_t before = entries();
  options.mode = seal::Mode::Envelope;
  EXPECT_ERROR(Denied, "sealing is denied: POL-MODE", seal());
  EXPECT_EQ(entries(), before);
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST_F(SealModel, RefusesAKeyThatWasReplaced) {
  const keys::Mek old = own_mek();
  mek::rotate(appliance, old.name);
  EXPECT_ERROR(Denied, old.label + " seals nothing more: " + old.name + "#2 took its place",
               seal_model(appliance, old, options, {}));
}

TEST_F(SealModel, ReplacesAnOutputWhereItMay) {
  put(output, "another's");
  const std::uint64_t before = entries();
  EXPECT_ERROR(Io, output.string() + " exists", seal());
  EXPECT_EQ(entries(), before) << "no key was used";
  EXPECT_EQ(content(output), copy(view("another's")));
  options.existing = Existing::Replace;
  const SealedModel made = seal();
  EXPECT_EQ(fs::file_size(output), made.sealed.file_size);
}

TEST_F(SealModel, LeavesNothingWhereTheInputChangesMeanwhile) {
  while_sealing([&] { testing::set_changed(options.qpc, testing::kTestNow); });
  EXPECT_ERROR(Io, "the input was written to while it was sealed", seal());
  EXPECT_THAT(demo().last_entries(2), ElementsAre("seal", "seal failed"));
  EXPECT_FALSE(holds_files(folder / "out"));
}

TEST_F(SealModel, IsDoneWithAFaultWhereItsNameIsTakenMeanwhile) {
  while_sealing([&] { put(output, "another's"); });
  EXPECT_ERROR(DoneWithFault, "the model is sealed and logged; " + output.string() + " exists", seal());
  EXPECT_THAT(demo().last_entries(2), ElementsAre("seal", "seal ok"));
  EXPECT_EQ(content(output), copy(view("another's")));
}

TEST_F(SealModel, WantsAReportForEachPart) {
  options.reports.resize(2);
  EXPECT_ERROR(Usage, "2 reports for a model of 1 part", seal());
  options.reports.resize(1);
  put(options.qpc, qpc_of_two());
  EXPECT_ERROR(Usage, "1 report for a model of 2 partitions", seal());
}

TEST_F(SealModel, IsReleasedToItsCardBehindTheSeal) {
  options.reports = {report()};
  const SealedModel made = seal();
  EXPECT_THAT(demo().last_entries(5), ElementsAre("seal", "seal ok", "release", "release", "release ok"));
  ASSERT_EQ(made.grants.size(), 1U);
  EXPECT_EQ(made.grants[0].claims.ueid, demo().card.ueid);
  EXPECT_EQ(slots_of(made.output), made.grants[0].slots());
}

TEST_F(SealModel, IsNotMadeForACardThatIsDenied) {
  options.reports = {report()};
  demo().card.set(263, testing::cbor_int(0));  // debugging is on
  options.reports = {signed_report()};
  demo().card.set(263, testing::cbor_int(3));
  EXPECT_ERROR(Denied, "DBGSTAT", seal());
  EXPECT_THAT(demo().last_entries(2), ElementsAre("release", "release denied")) << "and no seal";
  EXPECT_FALSE(fs::exists(folder / "out"));
}

// An appliance whose clock goes on, and where challenges live for an hour.
class LateModel : public SealModel {
 protected:
  LateModel() : SealModel(of_its_own()) {}

 private:
  static DemoAppliance& of_its_own() {
    static DemoAppliance one([](std::string policy) {
      const std::string day = "challenge_lifetime = \"24h\"";
      return policy.replace(policy.find(day), day.size(), "challenge_lifetime = \"1h\"");
    });
    return one;
  }
};

TEST_F(LateModel, StaysUnboundWhereItsCardIsDeniedMeanwhile) {
  options.reports = {report()};
  while_sealing([&] { demo().clock.time += 3601; });
  try {
    seal();
    FAIL() << "the challenge has expired";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Denied);
    EXPECT_THAT(error.what(), HasSubstr("POL-CHALLENGE-EXPIRED"));
    EXPECT_THAT(error.hint(), StartsWith("the model is sealed and unbound: " + output.string() +
                                         "; 'qpcseal encrypt-with-session-keys' binds it"));
  }
  const SealedInput kept = open_sealed(output, "elsewhere");
  EXPECT_FALSE(kept.files.at(0).bound());
  EXPECT_NO_THROW(require_sealed_here(kept, appliance.log().state()));
  EXPECT_THAT(demo().last_entries(4), ElementsAre("seal", "seal ok", "release", "release denied"));
}

class BindModel : public SealModel {
 protected:
  fs::path in = folder / "in";
  BindModel() {
    options.output_folder = in / "a";
    seal();
    options.output_folder = in / "b";
    seal();
  }
  [[nodiscard]] fs::path output_of(const std::string& name) const { return in / name / kOutputName; }
  [[nodiscard]] BindModelOptions binding(const fs::path& to) {
    return {in, to, {report()}, false, Existing::Refuse};
  }
  BoundModel bind(const BindModelOptions& wanted) { return bind_model(appliance, mek, wanted); }
};

TEST_F(BindModel, BindsAllOfAFolderToOneCard) {
  const BoundModel bound = bind(binding(folder / "bound"));
  EXPECT_THAT(bound.outputs, ElementsAre(folder / "bound/a" / kOutputName, folder / "bound/b" / kOutputName));
  ASSERT_EQ(bound.grants.size(), 1U);
  for (const fs::path& path : bound.outputs) EXPECT_EQ(slots_of(path), bound.grants[0].slots());
  EXPECT_FALSE(slots_of(in / "a" / kOutputName)) << "the input stays as it is";
  EXPECT_THAT(demo().last_entries(3), ElementsAre("release", "release", "release ok"));
}

TEST_F(BindModel, BindsInPlaceAndAnewOnDemand) {
  const BoundModel first = bind(binding(""));
  EXPECT_EQ(first.outputs.front(), in / "a" / kOutputName);
  EXPECT_EQ(slots_of(first.outputs.front()), first.grants.at(0).slots());
  BindModelOptions again = binding("");
  const std::uint64_t before = entries();
  EXPECT_ERROR(Usage, "is bound to a card already", bind(again));
  EXPECT_EQ(entries(), before) << "no challenge was used up";
  again.rebind = true;
  const BoundModel second = bind(again);
  EXPECT_EQ(slots_of(first.outputs.front()), second.grants.at(0).slots());
}

TEST_F(BindModel, RefusesBeforeAChallengeIsUsedUp) {
  BindModelOptions wanted = binding(folder / "bound");
  const std::uint64_t before = entries();
  const fs::path taken = put(folder / "bound/b" / kOutputName, "another's");
  EXPECT_ERROR(Io, taken.string() + " exists", bind(wanted));
  EXPECT_FALSE(fs::exists(folder / "bound/a"));
  wanted.reports.push_back(wanted.reports.front());
  EXPECT_ERROR(Usage,
               "binding '" + in.string() + "': " + (in / "a" / kOutputName).string() +
                   " has 1 part, and there are 2 reports",
               bind(wanted));
  EXPECT_EQ(entries(), before);
}

TEST_F(BindModel, RefusesContainersOfAnotherMek) {
  const keys::Mek other = own_mek();
  EXPECT_ERROR(Denied, "is sealed under MEK id " + to_hex(mek.id) + ", not " + other.label,
               bind_model(appliance, other, binding(folder / "bound")));
}

TEST_F(BindModel, RefusesAContainerOfAnotherAppliance) {
  const auto tree = seal::SealedTree::read(open_to_read(output_of("b")));
  const auto& segments = tree.root().container.layout().segments;
  Bytes bytes = content(output_of("b"));
  bytes.at(std::ranges::find(segments, "seal.sig", &qpc::Segment::name)->data_position) ^= 1;
  put(output_of("b"), bytes);
  const BindModelOptions wanted = binding("");
  const std::uint64_t before = entries();
  EXPECT_ERROR(Denied, output_of("b").string() + ": seal.sig is not this appliance's signature",
               bind(wanted));
  EXPECT_EQ(entries(), before) << "no challenge was used up";
  EXPECT_FALSE(slots_of(output_of("a")));
}

TEST_F(BindModel, RefusesMoreContainersThanAnEntryNames) {
  for (int i = 0; i < 255; ++i) fs::copy_file(in / "a" / kOutputName, in / std::to_string(i));
  EXPECT_ERROR(Usage, in.string() + " holds 257 containers; one release binds at most 256",
               bind(binding(folder / "bound")));
}

TEST_F(BindModel, LeavesNothingWhereItsCardIsDenied) {
  BindModelOptions wanted = binding(folder / "bound");
  wanted.reports[0].bytes.back() ^= 1;
  wanted.reports[0].digest = sha256(wanted.reports[0].bytes);
  EXPECT_ERROR(Denied, "ATT-", bind(wanted));
  EXPECT_FALSE(fs::exists(folder / "bound"));
}

}  // namespace
}  // namespace qpcseal::models
