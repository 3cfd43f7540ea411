// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/set_manifest.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/base/expect_error.h"

namespace qpcseal::seal {
namespace {

SetEntry entry(const std::string& path, SetKind kind = SetKind::File) {
  return {path, kind, 5, sha256(view(path))};
}

SetManifest usual_set() {
  return {Bytes(16, 1),
          Bytes(16, 2),
          1000,
          "model",
          7,
          {entry("a/programqpc.bin", SetKind::Model), entry("b.json"), entry("größe/x y")}};
}

TEST(SetManifest, WhatIsWrittenIsReadBack) {
  const SetManifest set = usual_set();
  EXPECT_EQ(parse_set_manifest(encode_set_manifest(set)), set);
  const SignedSet file{encode_set_manifest(set), Bytes(64, 3)};
  const SignedSet back = parse_signed_set(encode_signed_set(file));
  EXPECT_EQ(back.manifest, file.manifest);
  EXPECT_EQ(back.signature, file.signature);
}

TEST(SetManifest, EveryCutAndEveryOtherFirstByteIsRefused) {
  const Bytes bytes = encode_set_manifest(usual_set());
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_THROW(static_cast<void>(parse_set_manifest(ByteView(bytes).first(size))), Error) << size;
  Bytes more = bytes;
  more.push_back(0);
  EXPECT_ERROR(Malformed, "after", parse_set_manifest(more));
}

TEST(SetManifest, PathsOfASet) {
  for (const char* good : {"a", "a/b", "a b/c.d", "seal.set2", "x/seal.set", "größe"})
    EXPECT_TRUE(is_set_path(good)) << good;
  const std::string longest(255, 'n'), too_long(256, 'n');
  EXPECT_TRUE(is_set_path(longest + "/" + longest + "/" + longest + "/" + longest));
  for (const std::string& bad :
       {std::string(), std::string("/a"), std::string("a/"), std::string("a//b"), std::string("."),
        std::string(".."), std::string("../a"), std::string("a/../b"), std::string(".hidden"),
        std::string("a/.b"), std::string("seal.set"), std::string("a\nb"), std::string("a\x7f"),
        std::string("\xff"), too_long, std::string(4, 'a') + "/" + std::string(1020, 'b'),
        std::string("a\0b", 3)})
    EXPECT_FALSE(is_set_path(bad)) << bad;
}

TEST(SetManifest, RefusesALyingList) {
  const auto refused = [](const std::function<void(SetManifest&)>& lie, const std::string& says) {
    SetManifest set = usual_set();
    lie(set);
    EXPECT_ERROR(Malformed, says, parse_set_manifest(encode_set_manifest(set)));
  };
  refused([](SetManifest& set) { set.set_id.pop_back(); }, "an id has 16 bytes");
  refused([](SetManifest& set) { set.mek_id.push_back(0); }, "an id has 16 bytes");
  refused([](SetManifest& set) { set.name.clear(); }, "1 to 128 bytes");
  refused([](SetManifest& set) { set.name.assign(129, 'n'); }, "1 to 128 bytes");
  refused([](SetManifest& set) { set.entries[0].path = "../programqpc.bin"; },
          "a path that no file of a set has");
  refused([](SetManifest& set) { std::swap(set.entries[0], set.entries[1]); }, "not in their order");
  refused([](SetManifest& set) { set.entries[1].path = set.entries[0].path; }, "not in their order");
  refused([](SetManifest& set) { set.entries[0].kind = SetKind::File; }, "no sealed model");
  refused([](SetManifest& set) { set.entries.clear(); }, "no sealed model");
  refused([](SetManifest& set) { set.entries[1].kind = static_cast<SetKind>(2); }, "an unknown kind");
}

TEST(SetManifest, RefusesMoreModelsThanItMayHave) {
  SetManifest set = usual_set();
  set.entries.clear();
  for (unsigned i = 0; i < kMaxSetModels; ++i)
    set.entries.push_back(entry("m" + std::to_string(1000 + i), SetKind::Model));
  EXPECT_EQ(parse_set_manifest(encode_set_manifest(set)), set);
  set.entries.push_back(entry("n", SetKind::Model));
  EXPECT_ERROR(Malformed, "more than 256", parse_set_manifest(encode_set_manifest(set)));
}

TEST(SetManifest, RefusesAnotherSignatureLength) {
  EXPECT_ERROR(Malformed, "a signature has 64 bytes",
               parse_signed_set(encode_signed_set({encode_set_manifest(usual_set()), Bytes(63, 3)})));
}

TEST(SetManifest, TheMessageBeginsWithItsPurpose) {
  const Sha256Digest digest = sha256(view("list"));
  EXPECT_EQ(to_hex(set_message(digest)),
            to_hex(view(std::string_view("qpcseal/set/1\0", 14))) + to_hex(digest));
}

}  // namespace
}  // namespace qpcseal::seal
