// SPDX-License-Identifier: Apache-2.0
// Copies of wrapped MEKs between their entries and their results.
#include "appliance/site/pending_wraps.h"

#include <gtest/gtest.h>

#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::site {
namespace {

namespace fs = std::filesystem;
using qpcseal::testing::read_text;
using qpcseal::testing::TempFolder;
using qpcseal::testing::write_text;

const Sha256Digest kFirst = sha256(view("first")), kSecond = sha256(view("second"));

keys::WrappedMek wrap_with(std::uint8_t fill) {
  return {keys::Suite::OaepSha256, Bytes(46, fill), Bytes(32, fill), Bytes(65, fill)};
}

class PendingFile : public ::testing::Test {
 protected:
  TempFolder folder;
  Home home{folder.path()};
  audit::State state;

  PendingFile() {
    open_release(5, kFirst);
    open_release(6, kSecond);
  }
  void open_release(std::uint64_t seq, const Sha256Digest& report) {
    state.open[seq] = {seq, "release", "t", {{"report_sha256", to_hex(report)}}, nullptr};
  }
  void keep_both() const {
    PendingWraps pending(home, state);
    pending.prepare({{kFirst, wrap_with(1)}, {kSecond, wrap_with(2)}});
    pending.keep();
  }
};

TEST_F(PendingFile, ComesBackInTheNextRun) {
  keep_both();
  const PendingWraps pending(home, state);
  const keys::WrappedMek* found = pending.find(kSecond);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->suite, keys::Suite::OaepSha256);
  EXPECT_EQ(found->encrypt, Bytes(46, 2));
  EXPECT_EQ(found->nonce, Bytes(32, 2));
  EXPECT_EQ(found->pub, Bytes(65, 2));
  EXPECT_EQ(pending.find(kFirst)->encrypt, Bytes(46, 1));
  EXPECT_EQ(pending.find(sha256(view("third"))), nullptr);
  EXPECT_EQ(fs::status(home.pending()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(PendingFile, AppearsOnlyWhenItIsKept) {
  {
    PendingWraps pending(home, state);
    pending.prepare({{kFirst, wrap_with(1)}});
    EXPECT_FALSE(fs::exists(home.pending())) << "the entry is written first";
  }
  EXPECT_TRUE(folder.names().empty()) << "nothing is left of what was prepared";
}

TEST_F(PendingFile, HasTheLastWrapOfAReport) {
  keep_both();
  PendingWraps pending(home, state);
  pending.prepare({{kFirst, wrap_with(3)}});
  pending.keep();
  const PendingWraps again(home, state);
  EXPECT_EQ(again.find(kFirst)->encrypt, Bytes(46, 3));
  EXPECT_EQ(again.find(kSecond)->encrypt, Bytes(46, 2)) << "the others stay";
}

TEST_F(PendingFile, GivesNothingForAReleaseThatIsOpenNoMore) {
  keep_both();
  state.open.erase(5);
  EXPECT_EQ(PendingWraps(home, state).find(kFirst), nullptr);
  EXPECT_NE(PendingWraps(home, state).find(kSecond), nullptr);
  state.open[6].kind = "seal";
  EXPECT_EQ(PendingWraps(home, state).find(kSecond), nullptr) << "an intent of another kind";
}

TEST_F(PendingFile, IsRemovedWithItsLastWrap) {
  keep_both();
  PendingWraps pending(home, state);
  pending.drop({{kFirst, wrap_with(1)}});
  EXPECT_EQ(pending.find(kFirst), nullptr);
  EXPECT_EQ(read_text(home.pending()).find(to_hex(kFirst)), std::string::npos);
  EXPECT_NE(PendingWraps(home, state).find(kSecond), nullptr);
  pending.drop({{kSecond, wrap_with(2)}});
  EXPECT_FALSE(fs::exists(home.pending()));
}

TEST_F(PendingFile, ForgetsWhatAKilledRunLeft) {
  keep_both();
  const std::string both = read_text(home.pending());
  PendingWraps::forget_closed(home, state);
  EXPECT_EQ(read_text(home.pending()), both) << "both are open";
  state.open.erase(5);
  PendingWraps::forget_closed(home, state);
  EXPECT_EQ(read_text(home.pending()).find(to_hex(kFirst)), std::string::npos);
  EXPECT_NE(PendingWraps(home, state).find(kSecond), nullptr);
  state.open.clear();
  PendingWraps::forget_closed(home, state);
  EXPECT_FALSE(fs::exists(home.pending()));
  PendingWraps::forget_closed(home, state);
}

TEST_F(PendingFile, CountsAsNoneWhereItIsDamaged) {
  const auto with = [&](const std::string& first) {  // the other is read before it
    EXPECT_LT(to_hex(kSecond), to_hex(kFirst));
    const std::string good = R"({"encrypt":"","nonce":"","pub":"","suite":1})";
    write_text(home.pending(),
               "{\"" + to_hex(kSecond) + "\":" + good + ",\"" + to_hex(kFirst) + "\":" + first + "}");
    return PendingWraps(home, state).find(kSecond) != nullptr;
  };
  EXPECT_TRUE(with(R"({"suite":1,"encrypt":"","nonce":"","pub":""})"));
  EXPECT_FALSE(with(R"({"suite":9,"encrypt":"","nonce":"","pub":""})")) << "an unknown suite";
  EXPECT_FALSE(with(R"({"suite":1,"encrypt":"","nonce":""})"));
  EXPECT_FALSE(with(R"({"suite":1,"encrypt":"=","nonce":"","pub":""})"));
  EXPECT_FALSE(with("{"));
  PendingWraps::forget_closed(home, state);
  EXPECT_FALSE(fs::exists(home.pending())) << "nothing of it can be used";
}

TEST_F(PendingFile, SaysThatItCannotBePrepared) {
  const Home none{folder / "none"};
  PendingWraps pending(none, state);
  EXPECT_ERROR(Io, "none", pending.prepare({{kFirst, wrap_with(1)}}));
  pending.keep();
  pending.drop({{kFirst, wrap_with(1)}});
  EXPECT_EQ(pending.find(kFirst), nullptr) << "a failure to write hides nothing from this run";
}

}  // namespace
}  // namespace qpcseal::site
