// SPDX-License-Identifier: Apache-2.0
// The two programs themselves, over a real connection.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "device/card/card.h"
#include "policy/policy.h"
#include "tests/device/support.h"

namespace qpcseal::device {
namespace {

using qpcseal::testing::Cards;
using qpcseal::testing::make_request;
using qpcseal::testing::Outcome;
using qpcseal::testing::run;
using qpcseal::testing::Server;
using qpcseal::testing::write_request;
using ::testing::HasSubstr;
using ::testing::StartsWith;

ProvisionOptions two_cards() {
  ProvisionOptions options;
  options.cards = 2;
  return options;
}

class Programs : public ::testing::Test {
 protected:
  Cards cards{two_cards()};
  Server server{cards};

  Outcome courier(std::vector<std::string> more) {
    std::vector<std::string> command = {QPCSEAL_ATTEST, "--ip", "127.0.0.1", "--port", server.port()};
    command.insert(command.end(), more.begin(), more.end());
    return run(command);
  }
  std::string path(const std::string& name) { return (cards.folder / name).string(); }
  void expect_verifies(const std::string& report, const attest::Request& request) {
    const attest::Evidence evidence =
        attest::make_eat_card_scheme()->verify(read_file(report, attest::kMaxReport), cards.context());
    ASSERT_TRUE(evidence.claims.has_value()) << report;
    EXPECT_EQ(evidence.claims->nonce, request.nonce);
  }
  void expect_refused(const Outcome& outcome, int code) {
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_THAT(outcome.err, StartsWith("qpcseal-attest: error: "));
    EXPECT_FALSE(std::filesystem::exists(path("report.dat")));
  }
};

TEST_F(Programs, CarryARequestThereAndAReportBack) {
  const attest::Request request = make_request();
  const Outcome done =
      courier({"--device", "1", "-i", write_request(path("request"), request), "-o", path("report.dat")});
  ASSERT_EQ(done.code, 0) << done.err;
  expect_verifies(path("report.dat"), request);
  EXPECT_THAT(open_card(cards.dir, 1).answered_nonces, ::testing::ElementsAre(request.nonce));
  EXPECT_TRUE(open_card(cards.dir, 0).answered_nonces.empty());
}

TEST_F(Programs, AskSeveralCards) {
  const attest::Request request = make_request();
  const Outcome done =
      courier({"-d", "0-1", "-i", write_request(path("request"), request), "-o", path("reports")});
  ASSERT_EQ(done.code, 0) << done.err;
  expect_verifies(path("reports/report-0.dat"), request);
  expect_verifies(path("reports/report-1.dat"), request);
}

TEST_F(Programs, KeepTheOtherReportsWhenOneCardRefuses) {
  const attest::Request request = make_request();
  const Outcome done =
      courier({"-d", "7,1", "-i", write_request(path("request"), request), "-o", path("reports")});
  EXPECT_EQ(done.code, 5) << done.err;
  EXPECT_THAT(done.err, HasSubstr("card 7: refused"));
  expect_verifies(path("reports/report-1.dat"), request);
}

TEST_F(Programs, PrintWhatAReportClaims) {
  const attest::Request request = make_request();
  const Outcome done =
      courier({"-j", "-i", write_request(path("request"), request), "-o", path("report.dat")});
  ASSERT_EQ(done.code, 0) << done.err;
  const auto printed = nlohmann::json::parse(done.out);
  ASSERT_EQ(printed.size(), 1U);
  EXPECT_EQ(printed[0]["verified"], false);
  EXPECT_EQ(printed[0]["unverified_claims"]["nonce"], to_hex(request.nonce));
}

TEST_F(Programs, RefuseAFixedTextAsARequest) {
  write_file(path("request"), view("anycontent"), Existing::Refuse);
  const Outcome refused = courier({"-i", path("request"), "-o", path("report.dat")});
  expect_refused(refused, 4);
  EXPECT_THAT(refused.err, HasSubstr("qpcseal attest request"));
  EXPECT_THAT(refused.err, HasSubstr("nonce"));
}

TEST_F(Programs, SayThatTheCardRefused) {
  attest::Request expired = make_request();
  expired.expiry = 1;
  const Outcome refused = courier({"-i", write_request(path("request"), expired), "-o", path("report.dat")});
  expect_refused(refused, 5);
  EXPECT_THAT(refused.err, HasSubstr("expired"));
  attest::Request other = make_request();
  other.ueid = Bytes(17, 1);
  expect_refused(courier({"-i", write_request(path("request"), other), "-o", path("report.dat")}), 5);
  attest::Request rsa = make_request();
  rsa.key_types = {attest::SessionKeyType::Rsa};
  expect_refused(courier({"-i", write_request(path("request"), rsa), "-o", path("report.dat")}), 5);
  write_request(path("request"), make_request());
  expect_refused(courier({"-d", "9", "-i", path("request"), "-o", path("report.dat")}), 5);
}

TEST_F(Programs, OverwriteOnlyWhenTold) {
  const attest::Request request = make_request();
  write_request(path("request"), request);
  write_file(path("report.dat"), view("mine"), Existing::Refuse);
  const Outcome refused = courier({"-i", path("request"), "-o", path("report.dat")});
  EXPECT_EQ(refused.code, 3);
  EXPECT_THAT(refused.err, HasSubstr("--force"));
  EXPECT_EQ(qpcseal::text_view(read_file(path("report.dat"), 100)), "mine");
  EXPECT_TRUE(open_card(cards.dir, 0).answered_nonces.empty()) << "the card was asked for nothing";
  EXPECT_EQ(courier({"-i", path("request"), "-o", path("report.dat"), "--force"}).code, 0);
  expect_verifies(path("report.dat"), request);
}

TEST_F(Programs, CarryABatch) {
  const attest::Request first = make_request(), second = make_request();
  write_request(path("a"), first);
  write_request(path("b"), second);
  const std::string head = "127.0.0.1 " + server.port();
  write_file(path("batch"), view("# errands\n\n" + head + " 0 a a.dat\n" + head + " 1 b b.dat\n"),
             Existing::Refuse);
  const Outcome done = run({QPCSEAL_ATTEST, "--batch", path("batch")});
  ASSERT_EQ(done.code, 0) << done.err;
  expect_verifies(path("a.dat"), first);
  expect_verifies(path("b.dat"), second);
}

TEST_F(Programs, RefuseABadBatchBeforeAnyCardIsAsked) {
  write_request(path("a"), make_request());
  const std::string good = "127.0.0.1 " + server.port() + " 0 a a.dat\n";
  for (const std::string& bad :
       {std::string("127.0.0.1 99999 0 a b.dat"), std::string("127.0.0.1 1 0 a"),
        std::string("127.0.0.1 1 0-1 a b.dat"), std::string("127.0.0.1 1 0 a b.dat c")}) {
    write_file(path("batch"), view(good + bad + "\n"), Existing::Replace);
    const Outcome refused = run({QPCSEAL_ATTEST, "--batch", path("batch")});
    EXPECT_EQ(refused.code, 4) << bad;
    EXPECT_THAT(refused.err, HasSubstr("batch:2: ")) << bad;
  }
  EXPECT_TRUE(open_card(cards.dir, 0).answered_nonces.empty());
}

TEST_F(Programs, SayThatTheNetworkFailed) {
  write_request(path("request"), make_request());
  const std::string port = server.port();
  EXPECT_EQ(server.stop(SIGTERM), 0);
  expect_refused(run({QPCSEAL_ATTEST, "--ip", "127.0.0.1", "--port", port, "--timeout", "5", "-i",
                      path("request"), "-o", path("report.dat")}),
                 3);
}

TEST_F(Programs, StopOnInterrupt) { EXPECT_EQ(server.stop(SIGINT), 0); }

TEST_F(Programs, DoNotShareAPort) {
  const Outcome refused =
      run({QPCSEAL_DEVICE, "serve", "--dir", cards.dir.string(), "--port", server.port()});
  EXPECT_EQ(refused.code, 3);
  EXPECT_THAT(refused.err,
              StartsWith("qpcseal-device: error: 127.0.0.1:" + server.port() + ": cannot listen there"));
}

TEST_F(Programs, RefuseWrongUsage) {
  write_request(path("request"), make_request());
  for (const std::string& devices :
       {std::string("x"), std::string("3-1"), std::string("0,0"), std::string("0,"), std::string("-1"),
        std::string("1024"), std::string("0-99999999999")}) {
    const Outcome refused = courier({"--device=" + devices, "-i", path("request"), "-o", path("report.dat")});
    expect_refused(refused, 2);
  }
  expect_refused(courier({"-o", path("report.dat")}), 2);
  expect_refused(courier({"--batch", path("request")}), 2);
}

TEST(DeviceProgram, WorksFromProvisioningToReset) {
  const qpcseal::testing::TempFolder folder;
  const std::string dir = (folder / "d").string();
  const auto device = [&](std::vector<std::string> more) {
    more.insert(more.begin(), QPCSEAL_DEVICE);
    more.insert(more.end(), {"--dir", dir});
    return run(more);
  };
  ASSERT_EQ(
      device({"provision", "--cards", "2", "--key", "p384", "--roots-out", (folder / "root.pem").string()})
          .code,
      0);
  const auto before = nlohmann::json::parse(device({"list", "--json"}).out)["devices"];
  ASSERT_EQ(before.size(), 2U);
  EXPECT_EQ(before[1]["session_key"], "p384");
  const std::string table = device({"list"}).out;
  EXPECT_THAT(table, StartsWith("QID  UEID"));
  EXPECT_THAT(table, HasSubstr("\n1    " + before[1]["ueid"].get<std::string>() + "  "));
  write_request(folder / "request", make_request());
  const std::vector<std::string> attest = {
      "attest", "-d", "1", "-i", (folder / "request").string(), "-o", (folder / "report").string()};
  ASSERT_EQ(device(attest).code, 0);
  EXPECT_EQ(device(attest).code, 3) << "the report is there already";
  EXPECT_EQ(nlohmann::json::parse(device({"describe", "-d", "1"}).out)["answered_requests"], 1);
  ASSERT_EQ(device({"reset", "-d", "1"}).code, 0);
  const auto after = nlohmann::json::parse(device({"describe", "-d", "1"}).out);
  EXPECT_EQ(after["answered_requests"], 0);
  EXPECT_EQ(after["ueid"], before[1]["ueid"]);
  EXPECT_NE(after["bootseed"], before[1]["bootseed"]);
}

TEST(DeviceProgram, GivesSealKeysToAllCardsOrToOne) {
  const Cards cards(two_cards());
  const std::string key = (cards.folder / "key.pem").string();
  write_file(key,
             view("-----BEGIN PUBLIC KEY-----\n"
                  "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
                  "-----END PUBLIC KEY-----\n"),
             Existing::Refuse);
  std::vector<std::string> command = {QPCSEAL_DEVICE,
                                      "set-seal-key",
                                      "--dir",
                                      cards.dir.string(),
                                      "--seal-key",
                                      key,
                                      "--device",
                                      "1",
                                      "--min-model-version",
                                      "9"};
  ASSERT_EQ(run(command).code, 0);
  EXPECT_EQ(open_card(cards.dir, 0).seal_key, nullptr);
  EXPECT_EQ(open_card(cards.dir, 0).minimum_model_version, 0U);
  EXPECT_NE(open_card(cards.dir, 1).seal_key, nullptr);
  EXPECT_EQ(open_card(cards.dir, 1).minimum_model_version, 9U);
  command.resize(6);
  ASSERT_EQ(run(command).code, 0);
  EXPECT_NE(open_card(cards.dir, 0).seal_key, nullptr);
  EXPECT_EQ(open_card(cards.dir, 1).minimum_model_version, 9U) << "kept where nothing is said about it";
}

TEST(DeviceProgram, PrintsThePolicyThatTheTestsParse) {
  const Cards cards;
  const Outcome done =
      run({QPCSEAL_DEVICE, "describe", "--dir", cards.dir.string(), "--device", "0", "--policy"});
  ASSERT_EQ(done.code, 0);
  EXPECT_EQ(policy::parse_policy(done.out).devices.front().name, "simulated");
}

TEST(DeviceProgram, MakesFaultyEvidenceWhenTold) {
  const Cards cards;
  const std::string request = write_request(cards.folder / "request", make_request());
  const std::string report = (cards.folder / "report").string();
  std::vector<std::string> command = {QPCSEAL_DEVICE, "attest", "--dir", cards.dir.string(), "-i",
                                      request,        "-o",     report,  "--fault",          "unknown-root"};
  ASSERT_EQ(run(command).code, 0);
  const attest::Evidence evidence =
      attest::make_eat_card_scheme()->verify(read_file(report, attest::kMaxReport), cards.context());
  EXPECT_FALSE(evidence.claims.has_value());
  command.back() = "no-such-fault";
  command.push_back("--force");
  EXPECT_EQ(run(command).code, 2);
}

TEST(DeviceProgram, HasTheExitCodesOfItsHelp) {
  const Cards cards;
  const std::string dir = cards.dir.string(), request = (cards.folder / "request").string(),
                    report = (cards.folder / "report").string();
  EXPECT_EQ(run({QPCSEAL_DEVICE}).code, 2);
  EXPECT_EQ(run({QPCSEAL_DEVICE, "--help"}).code, 0);
  EXPECT_EQ(run({QPCSEAL_DEVICE, "list", "--dir", "/nowhere"}).code, 3);
  write_file(request, view("anycontent"), Existing::Refuse);
  const std::vector<std::string> attest = {QPCSEAL_DEVICE, "attest", "--dir", dir,
                                           "-i",           request,  "-o",    report};
  const Outcome malformed = run(attest);
  EXPECT_EQ(malformed.code, 4);
  EXPECT_THAT(malformed.err, StartsWith("qpcseal-device: error: "));
  attest::Request expired = make_request();
  expired.expiry = 1;
  write_request(request, expired);
  EXPECT_EQ(run(attest).code, 5);
  EXPECT_FALSE(std::filesystem::exists(report));
  const Outcome key = run({QPCSEAL_DEVICE, "set-seal-key", "--dir", dir, "--seal-key", request});
  EXPECT_EQ(key.code, 4);
}

}  // namespace
}  // namespace qpcseal::device
