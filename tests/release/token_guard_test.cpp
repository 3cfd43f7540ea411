// SPDX-License-Identifier: Apache-2.0
// The guard of the embedded token's files: what a kill or a full disk takes comes back, what was destroyed
// does not. On files as SoftHSM writes them, without SoftHSM.
#include "appliance/site/token_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/site/token_file.h"
#include "base/file.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::release {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

constexpr std::uint64_t kSecretKey = 4, kPrivateKey = 3, kData = 0;  // CKO_...
constexpr std::uint64_t kLabel = 0x80005349, kPin = 0x8000534d;  // SoftHSM's own attributes of token.object

class Object {
 public:
  explicit Object(std::uint64_t generation) { append_be(bytes_, generation, 8); }
  Object& number(std::uint64_t type, std::uint64_t value) { return word(type).word(2).word(value); }
  Object& flag(std::uint64_t type) {
    word(type).word(1);
    bytes_.push_back(0xff);
    return *this;
  }
  Object& text(std::uint64_t type, std::string_view value) {
    word(type).word(3).word(value.size());
    append(bytes_, value);
    return *this;
  }
  Object& mechanisms(std::uint64_t type, std::uint64_t count) {
    word(type).word(5).word(count);
    for (std::uint64_t i = 0; i < count; ++i) word(i);
    return *this;
  }
  [[nodiscard]] const Bytes& bytes() const { return bytes_; }

 private:
  Object& word(std::uint64_t value) {
    append_be(bytes_, value, 8);
    return *this;
  }
  Bytes bytes_;
};

Bytes token_object(std::uint64_t generation, std::string_view pin = "the PIN's blob") {
  return Object(generation).text(kLabel, "qpcseal").text(kPin, pin).bytes();
}
Bytes key_object(std::string_view value) {
  return Object(3).number(0, kSecretKey).flag(1).text(0x11, value).mechanisms(0x40000600, 2).bytes();
}
Bytes anchor_object() { return Object(2).number(0, kData).text(0x11, "size and root").bytes(); }

TEST(TokenFile, IsWholeOrTorn) {
  const Bytes whole = key_object("sixteen bytes...");
  const auto file = site::parse_token_file(whole);
  ASSERT_TRUE(file);
  EXPECT_THAT(file->types, ElementsAre(0U, 1U, 0x11U, 0x40000600U));
  EXPECT_FALSE(file->is_data);
  EXPECT_TRUE(site::parse_token_file(anchor_object())->is_data);
  std::size_t cuts = 0;
  for (std::size_t size = 0; size < whole.size(); ++size)
    if (const auto cut = site::parse_token_file(ByteView(whole).first(size))) {
      EXPECT_LT(cut->types.size(), file->types.size()) << size;
      ++cuts;
    }
  EXPECT_EQ(cuts, 4U) << "between attributes alone";
  EXPECT_FALSE(site::parse_token_file(Bytes(100))) << "zeros, as a file system may leave them";
  Bytes beyond = Object(1).mechanisms(7, 0).bytes();
  beyond[beyond.size() - 8] = 0x20;  // 2^61 mechanisms: eight bytes each are none
  EXPECT_FALSE(site::parse_token_file(beyond));
}

TEST(TokenFile, AKeyWithoutItsValueIsHalfMade) {
  EXPECT_FALSE(site::parse_token_file(key_object("value"))->lacks_value);
  EXPECT_TRUE(site::parse_token_file(key_object(""))->lacks_value) << "as SoftHSM writes a key first";
  EXPECT_TRUE(
      site::parse_token_file(Object(1).number(0, kSecretKey).number(0x100, 0x1f).bytes())->lacks_value);
  EXPECT_FALSE(site::parse_token_file(Object(1).number(0, kPrivateKey).number(0x100, 0).bytes())->lacks_value)
      << "RSA";
  EXPECT_FALSE(site::parse_token_file(Object(1).number(0, kData).bytes())->lacks_value);
}

TEST(TokenFile, MayDifferInItsGeneration) {
  EXPECT_TRUE(site::same_attributes(token_object(1), token_object(2)));
  EXPECT_FALSE(site::same_attributes(token_object(1), token_object(1, "the PIN's bloc")));
  EXPECT_FALSE(site::same_attributes(token_object(1), token_object(1, "")));
  EXPECT_FALSE(site::same_attributes(Bytes{}, Bytes{}));
}

class Guard : public ::testing::Test {
 protected:
  Guard() {
    fs::create_directories(token_);
    write(token_ / "token.object", token_object(7));
    write(token_ / "generation", Bytes(8));
    write(token_ / "one.object", key_object("one"));
    write(token_ / "two.object", key_object("two"));
    write(token_ / "anchor.object", anchor_object());
    for (const char* name : {"token", "one", "two", "anchor"})
      write(token_ / (std::string(name) + ".lock"), {});
    guarded().prepare();
  }
  // What the next run of the program has.
  [[nodiscard]] site::TokenGuard guarded() const { return site::TokenGuard(home_); }
  static void write(const fs::path& file, ByteView bytes) {
    fs::remove(file);
    write_file(file, bytes, Existing::Refuse, 0600);
  }
  static Bytes read(const fs::path& file) { return read_file(file, 1 << 20); }
  [[nodiscard]] bool has_copy(const char* name) const {
    return fs::exists(home_.token_copies() / "t" / name);
  }
  static std::string what_was(const encoding::Json& restored) {
    std::string out;
    if (restored.is_null()) return out;
    for (const auto& file : restored["files"])
      out += file["name"].get<std::string>() + " " + file["was"].get<std::string>() + "\n";
    return out;
  }

  testing::TempFolder folder_;
  site::Home home_{folder_.path()};
  fs::path token_ = home_.tokens() / "t";
};

TEST_F(Guard, PutsBackWhatIsEmptyTornOrMissing) {
  const Bytes key = key_object("one"), token = token_object(7);
  const std::vector<std::pair<std::string, Bytes>> states = {
      {"empty", {}},
      {"empty", Bytes(8)},
      {"torn", copy(ByteView(token).first(30))},
      {"torn", copy(ByteView(token).first(8 + 24 + 7))}};  // between two attributes
  for (const auto& [was, bytes] : states) {
    write(token_ / "token.object", bytes);
    site::TokenGuard guard = guarded();
    guard.prepare();
    EXPECT_EQ(read(token_ / "token.object"), token);
    EXPECT_EQ(what_was(guard.restored()), "t/token.object " + was + "\n");
    guard.forget_restored();
    EXPECT_TRUE(guard.restored().is_null());
  }
  fs::remove(token_ / "token.object");
  fs::remove(token_ / "one.object");
  write(token_ / "two.object", {});
  site::TokenGuard guard = guarded();
  guard.prepare();
  EXPECT_EQ(read(token_ / "token.object"), token);
  EXPECT_EQ(read(token_ / "one.object"), key);
  EXPECT_EQ(read(token_ / "two.object"), key_object("two"));
  EXPECT_EQ(what_was(guard.restored()), "t/one.object missing\nt/token.object missing\nt/two.object empty\n");
}

TEST_F(Guard, PutsBackAWholeToken) {
  fs::remove_all(token_);
  guarded().prepare();
  EXPECT_EQ(read(token_ / "token.object"), token_object(7));
  EXPECT_EQ(read(token_ / "two.object"), key_object("two"));
}

TEST_F(Guard, AKillAtAPutBackLosesNoEvent) {
  write(token_ / "token.object", {});
  guarded().prepare();
  EXPECT_EQ(what_was(guarded().restored()), "t/token.object empty\n") << "until the log has it";
}

TEST_F(Guard, AWholeFileThatChangedStays) {
  const Bytes changed = token_object(8, "another PIN's blob");
  write(token_ / "token.object", changed);
  site::TokenGuard guard = guarded();
  guard.prepare();
  EXPECT_EQ(read(token_ / "token.object"), changed);
  EXPECT_TRUE(guard.restored().is_null());
  write(token_ / "token.object", {});
  guarded().prepare();
  EXPECT_EQ(read(token_ / "token.object"), changed) << "the copy follows";
}

TEST_F(Guard, ALoginAloneWritesNoCopy) {
  const auto before = fs::last_write_time(home_.token_copies() / "t" / "token.object");
  write(token_ / "token.object", token_object(8));
  guarded().prepare();
  EXPECT_EQ(fs::last_write_time(home_.token_copies() / "t" / "token.object"), before);
}

TEST_F(Guard, WhatWasDestroyedStaysDestroyed) {
  site::TokenGuard guard = guarded();
  guard.prepare();
  guard.keep();
  guard.before_destroy();
  fs::remove(token_ / "one.object");
  guard.keep();
  EXPECT_FALSE(has_copy("one.object"));
  guarded().prepare();
  EXPECT_FALSE(fs::exists(token_ / "one.object"));
  EXPECT_TRUE(fs::exists(token_ / "two.object"));
}

TEST_F(Guard, WhatNobodyDestroyedKeepsItsCopy) {
  site::TokenGuard guard = guarded();
  guard.prepare();
  fs::remove(token_ / "one.object");
  guard.keep();
  EXPECT_TRUE(has_copy("one.object"));
  guarded().prepare();
  EXPECT_EQ(read(token_ / "one.object"), key_object("one"));
}

TEST_F(Guard, AKeyWithoutItsValueIsAnError) {
  site::TokenGuard guard = guarded();
  guard.prepare();
  write(token_ / "three.object", key_object(""));
  EXPECT_ERROR(Token, "three.object is torn", (guard.keep(), 0));
}

TEST_F(Guard, AlsoWhenTheProcessIsKilledThen) {
  guarded().before_destroy();
  fs::remove(token_ / "one.object");
  site::TokenGuard next = guarded();
  next.prepare();
  EXPECT_FALSE(fs::exists(token_ / "one.object"));
  EXPECT_FALSE(has_copy("one.object"));
  EXPECT_TRUE(next.restored().is_null());
  fs::remove(token_ / "two.object");
  guarded().prepare();
  EXPECT_TRUE(fs::exists(token_ / "two.object")) << "the mark is for that run alone";
}

TEST_F(Guard, ATornTokenComesBackWhileAKeyIsDestroyed) {
  guarded().before_destroy();
  fs::remove(token_ / "one.object");
  fs::remove(token_ / "token.object");
  write(token_ / "two.object", {});
  guarded().prepare();
  EXPECT_FALSE(fs::exists(token_ / "one.object"));
  EXPECT_EQ(read(token_ / "token.object"), token_object(7));
  EXPECT_EQ(read(token_ / "two.object"), key_object("two"));
}

TEST_F(Guard, MendsALoginThatWroteNothing) {
  site::TokenGuard guard = guarded();
  guard.prepare();
  write(token_ / "token.object", {});
  guard.check_login();
  EXPECT_EQ(read(token_ / "token.object"), token_object(7));
  fs::remove_all(home_.token_copies() / "t");
  write(token_ / "token.object", {});
  EXPECT_ERROR(Token, "is empty, and has no copy", (guard.check_login(), 0));
}

TEST_F(Guard, KeepsWhatIsNew) {
  site::TokenGuard guard = guarded();
  guard.prepare();
  write(token_ / "three.object", key_object("three"));
  guard.keep();
  EXPECT_TRUE(has_copy("three.object"));
  EXPECT_FALSE(has_copy("anchor.object")) << "the log renews its anchor";
}

TEST_F(Guard, AChangeThatDidNotReachTheDiskIsAnError) {
  site::TokenGuard guard = guarded();
  guard.prepare();
  guard.keep();
  write(token_ / "three.object", Bytes(8));
  EXPECT_ERROR(Token, "three.object is empty: the token did not write it", (guard.keep(), 0));
  write(token_ / "token.object", copy(ByteView(token_object(9)).first(20)));
  EXPECT_ERROR(Token, "token.object is torn", (guard.keep(), 0));
  EXPECT_EQ(read(token_ / "token.object"), token_object(7));
  guard.keep();  // said once
}

TEST_F(Guard, WhatAnEarlierRunLeftHalfMadeIsNoError) {
  write(token_ / "three.object", key_object(""));
  site::TokenGuard guard = guarded();
  guard.prepare();
  guard.keep();
  EXPECT_FALSE(has_copy("three.object"));
  write(token_ / "three.object", Object(9).number(0, kSecretKey).flag(2).text(0x11, "").bytes());
  guard.keep();  // SoftHSM adds attributes when the object is listed
  write(token_ / "four.object", key_object(""));
  EXPECT_ERROR(Token, "four.object is torn", (guard.keep(), 0));
}

TEST_F(Guard, AFailedActIsNoError) {
  site::TokenGuard guard = guarded();
  guard.prepare();
  write(token_ / "three.object", Bytes(8));
  guard.look_after();
  guard.keep();
  write(token_ / "anchor2.object", {});
  EXPECT_ERROR(Token, "anchor2.object is empty", (guard.keep(), 0));
}

TEST_F(Guard, RemovesWhatSaysNothingAndMakesLocksAgain) {
  write(token_ / "half.object", Bytes(8));
  write(token_ / "half.lock", {});
  write(token_ / "none.object", {});
  write(token_ / "generation", {});
  fs::remove(token_ / "one.lock");
  fs::remove(token_ / "token.lock");
  site::TokenGuard guard = guarded();
  guard.prepare();
  for (const char* gone : {"half.object", "half.lock", "none.object", "generation"})
    EXPECT_FALSE(fs::exists(token_ / gone)) << gone;
  for (const char* made : {"one.lock", "token.lock"}) EXPECT_TRUE(fs::exists(token_ / made)) << made;
  EXPECT_TRUE(guard.restored().is_null());
}

TEST_F(Guard, ATornCopyIsNoCopy) {
  const fs::path copy_file = home_.token_copies() / "t" / "one.object";
  write(copy_file, copy(ByteView(key_object("one")).first(40)));
  site::TokenGuard guard = guarded();
  guard.prepare();
  EXPECT_EQ(read(copy_file), key_object("one")) << "made anew";
  write(copy_file, {});
  fs::remove(token_ / "one.object");
  guarded().prepare();
  EXPECT_FALSE(fs::exists(token_ / "one.object"));
}

TEST_F(Guard, CopiesAreForTheOwnerAlone) {
  using fs::perms;
  EXPECT_EQ(fs::status(home_.token_copies()).permissions(), perms::owner_all);
  EXPECT_EQ(fs::status(home_.token_copies() / "t" / "one.object").permissions(),
            perms::owner_read | perms::owner_write);
}

}  // namespace
}  // namespace qpcseal::release
