// SPDX-License-Identifier: Apache-2.0
#include "appliance/models/sealed_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/models/model_files.h"

namespace qpcseal::models {
namespace {

namespace fs = std::filesystem;
using qpcseal::testing::content;
using qpcseal::testing::put;
using qpcseal::testing::usual_qpc;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SetsOnDisk : public qpcseal::testing::Models {
 protected:
  fs::path dir = sealed_set("set");
  SealedSet set = *read_set(dir);

  void change(const std::string& path, std::size_t at) const {
    Bytes bytes = content(dir / path);
    bytes.at(at) ^= 1;
    put(dir / path, bytes);
  }
  // What check_set says, with this list in place of the set's.
  void add_entry(const std::string& path, seal::SetKind kind, ByteView bytes) {
    put(dir / path, bytes);
    set.manifest.entries.push_back({path, kind, bytes.size(), sha256(bytes)});
  }
};

TEST_F(SetsOnDisk, AreReadWithTheirList) {
  EXPECT_EQ(set.manifest.name, "served");
  EXPECT_EQ(set.manifest.mek_id, mek.id);
  std::vector<std::string> paths;
  for (const seal::SetEntry& entry : set.manifest.entries) paths.push_back(entry.path);
  EXPECT_THAT(paths, ElementsAre("a/config.json", "a/model.qpc", "b.qpc", "tokens.txt"));
  EXPECT_EQ(set.signed_set.manifest, seal::encode_set_manifest(set.manifest));
  EXPECT_NO_THROW(check_set(set, dir));
}

TEST_F(SetsOnDisk, AreNoneWithoutSealSet) {
  fs::remove(dir / "seal.set");
  EXPECT_FALSE(read_set(dir));
  fs::create_symlink("nowhere", dir / "seal.set");
  EXPECT_ERROR(Io, "seal.set", read_set(dir)) << "the name is taken";
}

TEST_F(SetsOnDisk, AreRefusedWithADamagedSealSet) {
  const Bytes whole = content(dir / "seal.set");
  put(dir / "seal.set", ByteView(whole).first(whole.size() - 1));
  EXPECT_ERROR(Malformed, (dir / "seal.set").string() + ": ", read_set(dir));
  set.signed_set.signature.pop_back();
  put(dir / "seal.set", seal::encode_signed_set(set.signed_set));
  EXPECT_ERROR(Malformed, "a signature has 64 bytes", read_set(dir));
  set.manifest.name.clear();
  put(dir / "seal.set", seal::encode_signed_set({seal::encode_set_manifest(set.manifest), Bytes(64)}));
  EXPECT_ERROR(Malformed, "seal.set: set manifest: its name has 1 to 128 bytes", read_set(dir));
}

TEST_F(SetsOnDisk, MissAFile) {
  fs::remove(dir / "tokens.txt");
  EXPECT_ERROR(Malformed, "the set's 'tokens.txt' is missing", check_set(set, dir));
  fs::remove(dir / "b.qpc");
  EXPECT_ERROR(Malformed, "the set's 'b.qpc' is missing", check_set(set, dir)) << "the first is named";
}

TEST_F(SetsOnDisk, HaveAnotherFile) {
  put(dir / "tokens.txt", "tokenz");
  EXPECT_ERROR(Malformed, "the set's 'tokens.txt' is not the one that was sealed", check_set(set, dir));
  put(dir / "tokens.txt", "tokens.");
  EXPECT_ERROR(Malformed, "the set's 'tokens.txt' has another size than when it was sealed",
               check_set(set, dir));
}

TEST_F(SetsOnDisk, HaveAContainerOfAnotherSealing) {
  const auto again = sealed_set("again");
  ASSERT_EQ(fs::file_size(again / "b.qpc"), fs::file_size(dir / "b.qpc"));
  fs::copy_file(again / "b.qpc", dir / "b.qpc", fs::copy_options::overwrite_existing);
  EXPECT_ERROR(Malformed, "the set's 'b.qpc' is not the one that was sealed", check_set(set, dir));
}

TEST_F(SetsOnDisk, HaveAFileInPlaceOfAContainer) {
  put(dir / "b.qpc", Bytes(fs::file_size(dir / "b.qpc"), 'x'));
  EXPECT_ERROR(Malformed, "'b.qpc' of the set: ", check_set(set, dir));
}

// What a card checks is not read here, and binding changes nothing that is.
TEST_F(SetsOnDisk, AreNotReadForTheContainersData) {
  const auto tree = seal::SealedTree::read(open_to_read(dir / "a/model.qpc"));
  change("a/model.qpc", tree.root().container.layout().segments.front().data_position);
  seal::write_slots(Fd(open((dir / "a/model.qpc").c_str(), O_RDWR | O_CLOEXEC)), tree.root().slot_page(),
                    testing::some_slots(1));
  EXPECT_NO_THROW(check_set(set, dir));
}

TEST_F(SetsOnDisk, MayHaveMoreFilesButNoMoreQpcs) {
  put(dir / "notes.txt", "x");
  EXPECT_NO_THROW(check_set(set, dir));
  put(dir / "a/more", usual_qpc());
  EXPECT_ERROR(Malformed, "the set's 'a/more' is a QPC that seal.set does not list as a model",
               check_set(set, dir));
}

TEST_F(SetsOnDisk, HaveNoQpcThatIsListedAsAFile) {
  add_entry("z.qpc", seal::SetKind::File, usual_qpc());
  EXPECT_ERROR(Malformed, "the set's 'z.qpc' is a QPC that seal.set does not list as a model",
               check_set(set, dir));
}

TEST_F(SetsOnDisk, AreOfTheApplianceWhoseKeySignedThem) {
  const Bytes key = demo().made.seal_key;
  EXPECT_NO_THROW(require_signed_here(set, key));
  const auto refused = [&](const SealedSet& other) {
    EXPECT_ERROR(Denied, "seal.set is not signed by this appliance", require_signed_here(other, key));
  };
  SealedSet other = set;
  other.signed_set.signature[0] ^= 1;
  refused(other);
  other = set;
  ++other.manifest.version;
  other.signed_set.manifest = seal::encode_set_manifest(other.manifest);
  refused(other);
}

TEST_F(SetsOnDisk, HaveTheRestCopied) {
  const Bytes large((std::size_t{1} << 20U) + 1, 'l'), largest_small(std::size_t{1} << 20U, 's');
  add_entry("u/large", seal::SetKind::File, large);
  add_entry("u/small", seal::SetKind::File, largest_small);
  add_entry("v", seal::SetKind::File, {});
  OutputSet outputs(Existing::Refuse);
  outputs.dir(folder / "copy");
  copy_rest_of_set(set, dir, folder / "copy", outputs);
  EXPECT_FALSE(fs::exists(folder / "copy/seal.set")) << "not before commit()";
  outputs.commit();
  EXPECT_EQ(content(folder / "copy/u/large"), large);
  EXPECT_EQ(content(folder / "copy/u/small"), largest_small);
  EXPECT_THAT(content(folder / "copy/v"), IsEmpty());
  EXPECT_EQ(content(folder / "copy/a/config.json"), content(dir / "a/config.json"));
  EXPECT_EQ(content(folder / "copy/seal.set"), content(dir / "seal.set"));
  EXPECT_FALSE(fs::exists(folder / "copy/a/model.qpc"));
  EXPECT_FALSE(fs::exists(folder / "copy/b.qpc"));
}

TEST_F(SetsOnDisk, LeaveNothingOfACopyThatIsCutShort) {
  put(dir / "tokens.txt", "token");
  {
    OutputSet outputs(Existing::Refuse);
    EXPECT_ERROR(Io, "the file ends early", copy_rest_of_set(set, dir, folder / "copy", outputs));
  }
  EXPECT_FALSE(fs::exists(folder / "copy"));
}

TEST_F(SetsOnDisk, NameAContainerByItsRootsManifest) {
  const auto tree = seal::SealedTree::read(open_to_read(dir / "b.qpc"));
  ASSERT_EQ(tree.partitions().size(), 2U);
  EXPECT_EQ(model_digest(open_to_read(dir / "b.qpc")), sha256(tree.root().container.manifest()));
  EXPECT_ERROR(Malformed, "sealed", model_digest(open_to_read(put(folder / "plain", usual_qpc()))));
}

}  // namespace
}  // namespace qpcseal::models
