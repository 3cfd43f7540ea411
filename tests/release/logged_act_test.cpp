// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/logged_act.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>

#include "tests/audit/host_log.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::release {
namespace {

using encoding::Json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A signing key that dies with its token, at the signature of that number from now on.
class MortalSigner final : public tlog::Signer {
 public:
  explicit MortalSigner(tlog::Signer& key) : key_(key) {}
  Bytes sign(ByteView message) override {
    if (left == 0) throw Error(ErrorKind::Token, "C_SignInit: CKR_DEVICE_REMOVED");
    --left;
    return key_.sign(message);
  }
  [[nodiscard]] tlog::KeyType type() const override { return key_.type(); }
  [[nodiscard]] Bytes public_key() const override { return key_.public_key(); }
  unsigned left = 1000;

 private:
  tlog::Signer& key_;
};

class LoggedActs : public ::testing::Test {
 protected:
  LoggedActs() { host_.create(); }
  // What a reader finds: "intent", "ok", "failed", behind the genesis.
  std::vector<std::string> entries() {
    const audit::LogCopy copy = audit::read_log(host_.dir, host_.signer.verifier(testing::kOrigin));
    std::vector<std::string> out;
    for (std::uint64_t seq = 1; seq < copy.checkpoint.size; ++seq) {
      const audit::Entry entry = audit::parse_entry(copy.line(seq));
      out.push_back(entry.phase == audit::Phase::Intent ? "intent" : entry.outcome);
    }
    return out;
  }
  site::LoggedAct act_that(std::function<Json(const audit::Txn&)> act) {
    return {"pin-change", Json::object(), std::move(act), [this] { ++undone_; }};
  }
  audit::Log open() { return audit::Log::open(host_.settings(), signer_); }

  testing::TempFolder temp_;
  testing::HostLog host_{temp_ / "log"};
  MortalSigner signer_{host_.signer};
  int undone_ = 0;
};

TEST_F(LoggedActs, AnActIsAnIntentAndAResult) {
  audit::Log log = open();
  std::uint64_t intent = 0;
  const std::uint64_t seq = site::logged_act(log, act_that([&](const audit::Txn& txn) {
                                               EXPECT_THAT(entries(), ElementsAre("intent"));
                                               intent = txn.seq;
                                               return Json{{"token_serial", "7"}};
                                             }));
  EXPECT_THAT(entries(), ElementsAre("intent", "ok"));
  EXPECT_EQ(seq, intent + 1);
  EXPECT_EQ(undone_, 0);
}

TEST_F(LoggedActs, AnErrorOfAnyTypeIsUndoneAndLogged) {
  audit::Log log = open();
  EXPECT_ERROR(
      Token, "no",
      site::logged_act(log, act_that([](const auto&) -> Json { throw Error(ErrorKind::Token, "no"); })));
  EXPECT_THROW(site::logged_act(log, act_that([](const auto&) -> Json { throw std::bad_alloc(); })),
               std::bad_alloc);
  EXPECT_THROW(site::logged_act(log, act_that([](const auto&) -> Json { throw 7; })), int);
  EXPECT_EQ(undone_, 3);
  EXPECT_THAT(entries(), ElementsAre("intent", "failed", "intent", "failed", "intent", "failed"));
}

TEST_F(LoggedActs, WhatDoesNotReachTheDiskIsUndoneAndLogged) {
  audit::LogSettings settings = host_.settings();
  std::vector<bool> asked;
  bool full = true;
  settings.before_append = [&](bool done) {
    asked.push_back(done);
    if (done && full) throw Error(ErrorKind::Token, "the token did not write it");
  };
  audit::Log log = audit::Log::open(settings, signer_);
  EXPECT_ERROR(Token, "did not write it",
               site::logged_act(log, act_that([](const auto&) { return Json{{"token_serial", "7"}}; })));
  EXPECT_THAT(entries(), ElementsAre("intent", "failed"));
  EXPECT_EQ(undone_, 1);
  EXPECT_THAT(asked, ElementsAre(false, true, false));
  full = false;
  site::logged_act(log, act_that([](const auto&) { return Json{{"token_serial", "7"}}; }));
  EXPECT_THAT(entries(), ElementsAre("intent", "failed", "intent", "ok"));
  EXPECT_EQ(undone_, 1);
}

TEST_F(LoggedActs, WhatCannotBeUndoneIsNotCalledFailed) {
  audit::Log log = open();
  site::LoggedAct wanted = act_that([](const auto&) -> Json { throw Error(ErrorKind::Io, "the first"); });
  wanted.undo = [] { throw Error(ErrorKind::Token, "the second"); };
  EXPECT_ERROR(Io, "the first", site::logged_act(log, wanted));
  EXPECT_THAT(entries(), ElementsAre("intent"));
}

TEST_F(LoggedActs, ATokenThatDiesInTheActDoesNotHideTheFirstError) {
  audit::Log log = open();
  EXPECT_ERROR(Token, "the first", site::logged_act(log, act_that([&](const auto&) -> Json {
                                                      signer_.left = 0;
                                                      throw Error(ErrorKind::Token, "the first");
                                                    })));
  EXPECT_THAT(entries(), ElementsAre("intent"));
}

TEST_F(LoggedActs, AResultThatIsNotLoggedUndoesNothing) {
  audit::Log log = open();
  EXPECT_ERROR(Token, "is done, but its result is not in the log: C_SignInit",
               site::logged_act(log, act_that([&](const auto&) {
                                  signer_.left = 0;
                                  return Json::object();
                                })));
  EXPECT_EQ(undone_, 0);
  EXPECT_THAT(entries(), ElementsAre("intent"));
}

TEST_F(LoggedActs, NothingIsDoneWithoutAnIntent) {
  audit::Log log = open();
  signer_.left = 0;
  bool done = false;
  EXPECT_ERROR(Token, "C_SignInit", site::logged_act(log, act_that([&](const auto&) {
                                                       done = true;
                                                       return Json::object();
                                                     })));
  EXPECT_FALSE(done);
  EXPECT_THAT(entries(), IsEmpty());
}

TEST_F(LoggedActs, AStepBehindTheResultDoesNotSayFailed) {
  const auto said = [](const std::function<void()>& step) {
    try {
      site::after_result("the key is made", "again", step);
    } catch (const Error& fault) {
      EXPECT_EQ(fault.kind(), ErrorKind::DoneWithFault);
      return std::string(fault.what()) + "|" + fault.hint();
    }
    return std::string();
  };
  EXPECT_EQ(said([] { throw Error(ErrorKind::Denied, "disk"); }), "the key is made and logged; disk|again");
  EXPECT_THAT(said([] { throw std::bad_alloc(); }),
              ::testing::StartsWith("the key is made and logged; internal"));
  EXPECT_EQ(said([] {}), "");
}

}  // namespace
}  // namespace qpcseal::release
