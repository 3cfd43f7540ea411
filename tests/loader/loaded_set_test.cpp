// SPDX-License-Identifier: Apache-2.0
// A set of models on its way to a card: its list is written by hand, its containers are sealed by a token.
#include "device/loader/loaded_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/digest.h"
#include "device/loader/loaded_container.h"
#include "encoding/cbor.h"
#include "tests/base/expect_error.h"
#include "tests/loader/bench.h"

namespace qpcseal::device {
namespace {

namespace fs = std::filesystem;
using testing::Bench;

struct Line {
  std::string path;
  std::uint64_t kind = 0, size = 0;
  Bytes digest = Bytes(32);
};

class LoadedSets : public ::testing::Test {
 protected:
  Bench bench;
  testing::TemporaryFolder folder;
  fs::path dir = folder.path() / "set";
  std::vector<Line> lines;
  std::string type = "qpcseal/set/1";
  Bytes mek_id, signature;  // no signature: the seal key's

  // A model and a file.
  LoadedSets() {
    add_file("a/config.json", "{}");
    add_model("b.qpc");
    write();
  }
  void put(const std::string& path, const Bytes& bytes) const {
    fs::create_directories((dir / path).parent_path());
    write_file(dir / path, bytes, Existing::Replace);
  }
  void add_file(const std::string& path, std::string_view text) {
    put(path, copy(view(text)));
    lines.push_back({path, 0, text.size(), copy(sha256(view(text)))});
  }
  void add_model(const std::string& path, const testing::Wish& wanted = {}) {
    const Bytes container = bench.seal(wanted);
    put(path, container);
    const Fd file = open_to_read(dir / path);
    const SealedContainer root = read_sealed(file, 0, container.size());
    if (mek_id.empty()) mek_id = root.mek_id;
    lines.push_back({path, 1, container.size(), copy(sha256(root.manifest))});
  }
  // seal.set, FORMAT.md section 2.6.
  void write() {
    cbor::Writer list;
    list.map(7).unsigned_(1).text(type).unsigned_(2).bytes(Bytes(16, 1)).unsigned_(3).bytes(mek_id);
    list.unsigned_(4).unsigned_(1800000000).unsigned_(5).text("served").unsigned_(6).unsigned_(1);
    list.unsigned_(7).array(lines.size());
    for (const Line& line : lines)
      list.array(4).text(line.path).unsigned_(line.kind).unsigned_(line.size).bytes(line.digest);
    Bytes message = copy(view(std::string_view("qpcseal/set/1\0", 14)));
    append(message, sha256(list.data()));
    const Bytes signed_by = signature.empty() ? bench.sign(message) : signature;
    put("seal.set", cbor::Writer().array(2).bytes(list.data()).bytes(signed_by).take());
  }
  LoadedSet load(const std::optional<fs::path>& out = std::nullopt) const {
    const Card card = bench.card();
    return load_set(dir, std::span<const Card>(&card, 1), out, Existing::Refuse);
  }
  // With one line more, in its place.
  LoadedSet load_with(const Line& line) {
    const std::vector<Line> before = lines;
    lines.insert(std::ranges::upper_bound(lines, line.path, {}, &Line::path), line);
    write();
    lines = before;
    return load();
  }
};

TEST_F(LoadedSets, AreLoadedModelByModel) {
  const LoadedSet got = load();
  EXPECT_EQ(got.name, "served");
  ASSERT_EQ(got.models.size(), 1U);
  EXPECT_EQ(got.models[0].first, "b.qpc");
  EXPECT_EQ(got.models[0].second.model_name, "model");
  EXPECT_EQ(got.others, 1U);
}

TEST_F(LoadedSets, GiveThePlainModelsUnderTheirPaths) {
  add_model("c/d.qpc");
  write();
  const LoadedSet got = load(folder.path() / "out");
  ASSERT_EQ(got.models.size(), 2U);
  EXPECT_EQ(got.models[1].first, "c/d.qpc") << "in the order of the list";
  for (const char* path : {"b.qpc", "c/d.qpc"}) {
    const Fd file = open_to_read(folder.path() / "out" / path);
    EXPECT_FALSE(qpc::Container::read(file).is_sealed()) << path;
  }
  EXPECT_FALSE(fs::exists(folder.path() / "out/a")) << "models alone";
}

TEST_F(LoadedSets, AreKnownByAFileOfTheirs) {
  EXPECT_TRUE(is_set(dir));
  EXPECT_FALSE(is_set(dir / "a"));
  EXPECT_FALSE(is_set(dir / "gone"));
  fs::create_symlink(dir / "seal.set", dir / "a/seal.set");
  EXPECT_FALSE(is_set(dir / "a")) << "a link";
}

TEST_F(LoadedSets, NeedACard) {
  EXPECT_ERROR(Usage, "no card was given", load_set(dir, {}, std::nullopt, Existing::Refuse));
}

TEST_F(LoadedSets, HaveTheSignatureOfTheCardsAppliance) {
  const char* refusal = "set refused: seal.set does not have this appliance's signature";
  signature = Bytes(64, 1);
  write();
  EXPECT_ERROR(Denied, refusal, load());
  Card keyless = bench.card();
  keyless.seal_key.reset();
  const auto load_keyless = [&] {
    return load_set(dir, std::span<const Card>(&keyless, 1), std::nullopt, Existing::Refuse);
  };
  EXPECT_EQ(load_keyless().models.size(), 1U) << "a card without the key verifies no signature";
  for (const std::size_t size : {63U, 65U}) {
    signature = Bytes(size, 1);
    write();
    EXPECT_ERROR(Denied, refusal, load_keyless());
  }
}

TEST_F(LoadedSets, HaveASignatureOfTheirOwnList) {
  const Bytes before = read_file(dir / "seal.set", 1 << 20);
  add_file("c", "more");
  write();
  const Bytes after = read_file(dir / "seal.set", 1 << 20);
  Bytes mixed = after;
  std::copy(before.end() - 64, before.end(), mixed.end() - 64);
  put("seal.set", mixed);
  EXPECT_ERROR(Denied, "seal.set does not have this appliance's signature", load());
}

TEST_F(LoadedSets, HaveTheFilesOfTheirList) {
  fs::remove(dir / "a/config.json");
  EXPECT_ERROR(Denied, "set refused: 'a/config.json' is missing", load());
  fs::create_symlink("../b.qpc", dir / "a/config.json");
  EXPECT_ERROR(Denied, "set refused: 'a/config.json' is missing", load()) << "a link is no file";
  fs::remove(dir / "a/config.json");
  put("a/config.json", copy(view("{ }")));
  EXPECT_ERROR(Denied, "set refused: 'a/config.json' has another size", load());
  put("a/config.json", copy(view("[]")));
  EXPECT_ERROR(Denied, "set refused: 'a/config.json' is not the file that was sealed", load());
  put("a/config.json", copy(view("{}")));
  EXPECT_NO_THROW(load());
}

TEST_F(LoadedSets, HaveLargeFilesToTheLastByte) {
  Bytes large((std::size_t{1} << 20) + 1, 7);
  add_file("z", text_view(large));
  write();
  EXPECT_EQ(load().others, 2U);
  large.back() ^= 1;
  put("z", large);
  EXPECT_ERROR(Denied, "set refused: 'z' is not the file that was sealed", load());
}

TEST_F(LoadedSets, HaveTheModelsThatWereSealed) {
  const char* refusal = "set refused: 'b.qpc' is not the model that was sealed";
  put("b.qpc", bench.seal({}));
  EXPECT_ERROR(Denied, refusal, load()) << "another sealing of the same model";
  lines.pop_back();
  add_model("b.qpc", {.mek = "another"});
  write();
  EXPECT_ERROR(Denied, refusal, load()) << "under another key than the set's";
}

TEST_F(LoadedSets, HaveNoContainerThatIsNotListed) {
  put("more/readme.txt", copy(view("no container")));
  EXPECT_NO_THROW(load()) << "other files may be there";
  put("more/x.qpc", bench.seal({}));
  EXPECT_ERROR(Denied, "set refused: 'more/x.qpc' is a container that its list does not have", load());
  const Bytes bytes = read_file(dir / "more/x.qpc", 1 << 20);
  EXPECT_ERROR(Denied, "'more/x.qpc' is a container that its list does not have",
               load_with({"more/x.qpc", 0, bytes.size(), copy(sha256(bytes))}))
      << "listed as a file that is no model";
}

TEST_F(LoadedSets, HavePathsBelowTheirFolder) {
  const char* refusal = "set refused: its list has a file that none is";
  std::string deep;
  for (int i = 0; i < 3; ++i) deep += std::string(255, 'c') + "/";
  const std::string longest = deep + std::string(254, 'c') + "/x";
  ASSERT_EQ(longest.size(), 1024U);
  for (const std::string& path :
       {std::string("../x"), std::string("c/../x"), std::string("c/."), std::string("c/.x"),
        std::string(".x"), std::string("/x"), std::string("c//x"), std::string("c/"), std::string("seal.set"),
        std::string("c\nx"), std::string("c\x7fx"), std::string("c\0x", 3), std::string(256, 'c'),
        longest + "x", std::string()})
    EXPECT_ERROR(Denied, refusal, load_with({path})) << path;
  EXPECT_ERROR(Denied, refusal, load_with({"c", 2})) << "neither a model nor a file";
  for (const std::string& path :
       {longest, std::string(255, 'c'), std::string("c/seal.set"), std::string("c.")})
    EXPECT_ERROR(Denied, "' is missing", load_with({path})) << path;
}

TEST_F(LoadedSets, HavePathsInOrderAndOnce) {
  EXPECT_ERROR(Denied, "its list has a file that none is", load_with(lines[1]));
  std::swap(lines[0], lines[1]);
  write();
  EXPECT_ERROR(Denied, "its list has a file that none is", load());
}

TEST_F(LoadedSets, AreListsOfTheirKind) {
  type = "qpcseal/set/2";
  write();
  EXPECT_ERROR(Denied, "set refused: its list is of another kind", load());
  put("seal.set", cbor::Writer().array(1).bytes(Bytes(3)).take());
  EXPECT_ERROR(Denied, "set refused: seal.set is no list with a signature", load());
  put("seal.set", Bytes(3, 0xff));
  EXPECT_ERROR(Denied, "set refused: set", load()) << "no CBOR: a refusal all the same";
}

TEST_F(LoadedSets, HaveAModelAndNotTooMany) {
  const char* refusal = "set refused: it has no model, or too many files";
  lines.pop_back();
  write();
  EXPECT_ERROR(Denied, refusal, load());
  for (std::size_t i = 0; i < 257; ++i) lines.push_back({"m" + std::to_string(1000 + i), 1});
  write();
  EXPECT_ERROR(Denied, refusal, load());
  lines.pop_back();
  write();
  EXPECT_ERROR(Denied, "'m1000' is missing", load()) << "256 models are as many as there may be";
  for (std::size_t i = lines.size(); i < 10001; ++i) lines.push_back({"n" + std::to_string(10000 + i), 0});
  write();
  EXPECT_ERROR(Denied, refusal, load());
}

TEST_F(LoadedSets, NameTheModelThatDoesNotLoad) {
  add_model("c.qpc", {.bound = false});
  write();
  EXPECT_ERROR(Denied, "'c.qpc': container refused: it is not bound to a card", load());
}

}  // namespace
}  // namespace qpcseal::device
