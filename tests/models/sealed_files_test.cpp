// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/sealed_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include "tests/base/expect_error.h"
#include "tests/models/model_files.h"

namespace qpcseal::models {
namespace {

namespace fs = std::filesystem;
using qpcseal::testing::content;
using qpcseal::testing::put;
using qpcseal::testing::qpc_of_two;
using qpcseal::testing::some_slots;
using qpcseal::testing::usual_qpc;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> names(const SealedInput& input) {
  std::vector<std::string> out;
  for (const SealedFile& file : input.files) out.push_back(file.name);
  return out;
}

// Containers below `all`, by default one of one part and one of two.
class SealedFiles : public qpcseal::testing::Models {
 protected:
  fs::path all = folder / "all";
  fs::path one = place(usual_qpc(), "one.qpc"), two = place(qpc_of_two(), "x/two.qpc");

  fs::path place(const Bytes& qpc, const std::string& name) {
    const fs::path made = sealed(qpc, "for-" + fs::path(name).filename().string());
    fs::create_directories((all / name).parent_path());
    fs::rename(made, all / name);
    return all / name;
  }
  [[nodiscard]] static SealedFile open_one(const fs::path& path) {
    return std::move(open_sealed(path, "elsewhere").files.front());
  }
  [[nodiscard]] static bool is_bound(const fs::path& path) { return open_one(path).bound(); }
  [[nodiscard]] audit::State& state() { return state_; }

 private:
  audit::State state_ = appliance.log().state();
};

TEST_F(SealedFiles, OfAFolderAreOpenedByName) {
  put(all / "notes.txt", "x");
  put(all / ".hidden.qpc", content(one));
  put(all / ".git/one.qpc", content(one));
  put(all / "earlier/one.qpc", content(one));
  fs::create_symlink(one, all / "link.qpc");
  const SealedInput input = open_sealed(all, all / "earlier");
  EXPECT_THAT(names(input), ElementsAre("one.qpc", "x/two.qpc"));
  EXPECT_FALSE(input.set);
  EXPECT_EQ(input.files[0].path, one);
  EXPECT_EQ(input.files[0].parts(), 1U);
  EXPECT_EQ(input.files[1].parts(), 2U);
  EXPECT_THAT(names(open_sealed(all, folder / "out")),
              ElementsAre("earlier/one.qpc", "one.qpc", "x/two.qpc"));
}

TEST_F(SealedFiles, OfOneFileHaveItsName) {
  EXPECT_THAT(names(open_sealed(two, "elsewhere")), ElementsAre("two.qpc"));
}

TEST_F(SealedFiles, OfASetAreThoseOfItsList) {
  const fs::path dir = sealed_set("set");
  const SealedInput input = open_sealed(dir, "elsewhere");
  ASSERT_TRUE(input.set);
  EXPECT_EQ(input.dir, dir);
  EXPECT_THAT(names(input), ElementsAre("a/model.qpc", "b.qpc"));
  fs::remove(dir / "tokens.txt");
  EXPECT_ERROR(Malformed, "the set's 'tokens.txt' is missing", open_sealed(dir, "elsewhere"));
}

TEST_F(SealedFiles, OfASetAreSealedUnderItsMek) {
  const fs::path dir = sealed_set("set");
  SealedSet set = *read_set(dir);
  set.manifest.mek_id[0] ^= 1;
  put(dir / "seal.set", seal::encode_signed_set({seal::encode_set_manifest(set.manifest), Bytes(64)}));
  EXPECT_ERROR(Malformed, "a/model.qpc is sealed under another MEK than its set",
               open_sealed(dir, "elsewhere"));
}

TEST_F(SealedFiles, ThatAreNotSealedAreRefused) {
  const fs::path plain = put(all / "y/plain.qpc", usual_qpc());
  EXPECT_ERROR(Malformed, plain.string() + ": ", open_sealed(all, "elsewhere"));
  EXPECT_ERROR(Malformed, "key.pub: this is an SSH public key, not a model (QPC)",
               open_sealed(put(folder / "key.pub", "ssh-ed25519 AAAA"), "elsewhere"));
  EXPECT_ERROR(Io, "No such file", open_sealed(folder / "none", "elsewhere"));
}

TEST_F(SealedFiles, OfAFolderWithoutAnyAreRefused) {
  put(folder / "none/notes.txt", "x");
  put(folder / "none/.hidden.qpc", content(one));
  EXPECT_ERROR(Io, "none holds no QPC file", open_sealed(folder / "none", "elsewhere"));
}

TEST_F(SealedFiles, OfAFolderAreAtMostTenThousand) {
  const Bytes small = testing::build_qpc({}, testing::Flavour::File);
  for (int i = 0; i <= 10000; ++i)
    testing::write_text(all / std::to_string(i), std::string(text_view(small)));
  EXPECT_ERROR(Io, all.string() + " holds more than 10000 containers", open_sealed(all, "elsewhere"));
}

TEST_F(SealedFiles, AreBoundWhereAnyPartIs) {
  EXPECT_FALSE(is_bound(two));
  const SealedFile file = open_one(two);
  const Fd writable(open(two.c_str(), O_RDWR | O_CLOEXEC));
  seal::write_slots(writable, file.tree.partitions()[1].slot_page(), some_slots(1));
  EXPECT_TRUE(is_bound(two));
}

// FORMAT.md section 2.5.
Bytes journal_of(const SealedFile& file, const seal::Slots& slots) {
  Bytes out = copy(view("QPCBIND\1"));
  append(out, file.tree.root().manifest.seal_id);
  append(out, sha256(file.tree.root().container.manifest()));
  append_be(out, 1, 4);
  append_be(out, file.tree.root().slot_page(), 8);
  append(out, seal::encode_slots(slots));
  append(out, sha256(out));
  return out;
}

TEST_F(SealedFiles, HaveABindingThatWasCutShortCompletedInPlaceAlone) {
  const fs::path journal = put(seal::journal_path(one), journal_of(open_one(one), some_slots(7)));
  EXPECT_FALSE(open_sealed(all, folder / "out").files[0].bound());
  EXPECT_TRUE(fs::exists(journal));
  const SealedInput input = open_sealed(all, "");
  EXPECT_EQ(input.files[0].tree.root().slots(), some_slots(7));
  EXPECT_FALSE(fs::exists(journal));
}

TEST_F(SealedFiles, OfAnotherMekAreRefused) {
  const SealedInput input = open_sealed(all, "elsewhere");
  EXPECT_NO_THROW(require_mek(input.files, mek.id, mek.label));
  EXPECT_ERROR(Denied,
               one.string() + " is sealed under MEK id " + to_hex(mek.id) + ", not net#2 (" +
                   to_hex(Bytes(16, 7)) + ")",
               require_mek(input.files, Bytes(16, 7), "net#2"));
}

TEST_F(SealedFiles, ThatTheLogDoesNotKnowAreRefused) {
  const SealedInput input = open_sealed(all, "elsewhere");
  EXPECT_NO_THROW(require_sealed_here(input, state()));
  state().sealed.erase(sha256_hex(text_view(input.files[1].tree.partitions()[1].container.manifest())));
  EXPECT_ERROR(Denied,
               "two.qpc, partition 'right' is not sealed by this appliance: its log knows no manifest",
               require_sealed_here(input.files, state()));
  state().sealed.clear();
  EXPECT_ERROR(Denied, "one.qpc is not sealed by this appliance", require_sealed_here(input.files, state()));
}

TEST_F(SealedFiles, ThatAnotherKeySignedAreRefused) {
  for (const bool root : {true, false}) {
    const SealedFile file = open_one(two);
    const seal::SealedNode& node = root ? file.tree.root() : file.tree.partitions()[0];
    const auto& segments = node.container.layout().segments;
    const auto sig = std::ranges::find(segments, "seal.sig", &qpc::Segment::name);
    Bytes bytes = content(two);
    bytes.at(node.container.begin() + sig->data_position) ^= 1;
    const SealedInput changed = open_sealed(put(folder / "changed.qpc", bytes), "elsewhere");
    EXPECT_ERROR(Denied,
                 std::string(root ? "changed.qpc" : "changed.qpc, partition 'left'") +
                     ": seal.sig is not this appliance's signature of its manifest",
                 require_sealed_here(changed.files, state()));
  }
}

TEST_F(SealedFiles, OfASetThatAnotherKeySignedAreRefused) {
  SealedInput input = open_sealed(sealed_set("set"), "elsewhere");
  state() = appliance.log().state();
  EXPECT_NO_THROW(require_sealed_here(input, state()));
  input.set->signed_set.signature[0] ^= 1;
  EXPECT_ERROR(Denied, "seal.set is not signed by this appliance", require_sealed_here(input, state()));
  EXPECT_NO_THROW(require_sealed_here(input.files, state())) << "the containers are this appliance's";
}

TEST_F(SealedFiles, NeedRoomForACopy) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const Fd read_end(ends[0]), write_end(ends[1]);
  const SealedFile file = open_one(one);
  EXPECT_ERROR(Io, "no room for " + std::to_string(file.tree.file_size()) + " bytes",
               make_room(file, write_end));
}

TEST_F(SealedFiles, AreCopiedWithNewSlotsAlone) {
  const SealedFile file = open_one(two);
  AtomicFile output(folder / "copy.qpc", Existing::Refuse);
  make_room(file, output.fd());
  bind_to(file, {some_slots(1), some_slots(2)}, output.fd());
  output.commit();
  Bytes bytes = content(folder / "copy.qpc");
  const SealedFile bound = open_one(folder / "copy.qpc");
  EXPECT_EQ(bound.tree.partitions()[0].slots(), some_slots(1));
  EXPECT_EQ(bound.tree.partitions()[1].slots(), some_slots(2));
  for (const auto& node : bound.tree.partitions())
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(node.slot_page()), seal::kPageSize, 0);
  EXPECT_EQ(bytes, content(two));
}

TEST_F(SealedFiles, AreBoundForAsManyCardsAsTheyHaveParts) {
  const AtomicFile output(folder / "copy.qpc", Existing::Refuse);
  EXPECT_ERROR(Usage, two.string() + ": the container has 2 partitions, and there are 1 wrapped MEKs",
               bind_to(open_one(two), {some_slots(1)}, output.fd()));
  EXPECT_ERROR(Usage, "the container has 1 part, and there are 2 wrapped MEKs",
               bind_to(open_one(one), {some_slots(1), some_slots(2)}, output.fd()));
}

TEST_F(SealedFiles, AreBoundInPlaceInTheirOrder) {
  const fs::path third = place(usual_qpc(), "z.qpc");
  fs::remove(two);
  bind_all_in_place(open_sealed(all, "").files, {some_slots(4)});
  EXPECT_EQ(open_one(one).tree.root().slots(), some_slots(4));
  EXPECT_EQ(open_one(third).tree.root().slots(), some_slots(4));
}

TEST_F(SealedFiles, AreBoundInPlaceWhereTheSlotsFitAll) {
  EXPECT_ERROR(Usage, two.string() + ": the container has 2 partitions",
               bind_all_in_place(open_sealed(all, "").files, {some_slots(4)}));
  EXPECT_FALSE(is_bound(one)) << "though it comes first";
}

// Runs `act`, which must throw, and returns the hint.
template <typename Act>
std::string hint_of(Act&& act) {
  try {
    std::forward<Act>(act)();
  } catch (const Error& error) {
    return error.hint();
  }
  return "nothing was thrown";
}

class HalfBound : public SealedFiles {
 protected:
  fs::path third = place(usual_qpc(), "z.qpc"), second = place(usual_qpc(), "p.qpc");
  HalfBound() { fs::remove(two); }
};

TEST_F(HalfBound, FolderTellsHowFarItCame) {
  const std::vector<SealedFile> files = open_sealed(all, "").files;
  const auto bind = [&] { bind_all_in_place(files, {some_slots(4)}); };
  const Fd busy = open_to_read(second);
  ASSERT_EQ(flock(busy.get(), LOCK_EX), 0);
  EXPECT_ERROR(Io, second.string() + " is being bound by another process", bind());
  EXPECT_THAT(hint_of(bind),
              HasSubstr("1 of 3 containers, in the order of their names, have the new binding"));
  EXPECT_TRUE(is_bound(one));
  EXPECT_FALSE(is_bound(second));
  EXPECT_FALSE(is_bound(third));
}

TEST_F(HalfBound, FileTellsNoNumber) {
  const std::vector<SealedFile> files = open_sealed(second, "").files;
  const Fd busy = open_to_read(second);
  ASSERT_EQ(flock(busy.get(), LOCK_EX), 0);
  EXPECT_THAT(hint_of([&] { bind_all_in_place(files, {some_slots(4)}); }), IsEmpty());
}

TEST_F(HalfBound, ContainerThatWasReplacedMeanwhileIsRefused) {
  const std::vector<SealedFile> files = open_sealed(second, "").files;
  fs::rename(third, second);
  EXPECT_ERROR(Io, "p.qpc was replaced meanwhile", bind_all_in_place(files, {some_slots(4)}));
  EXPECT_FALSE(is_bound(second));
}

TEST_F(SealedFiles, ThatCannotBeBoundInPlaceAreRefused) {
  const SealedInput input = open_sealed(all, "");
  EXPECT_NO_THROW(require_writable(input.files));
  fs::remove(two);
  EXPECT_ERROR(Io, two.string() + ": No such file", require_writable(input.files));
}

}  // namespace
}  // namespace qpcseal::models
