// SPDX-License-Identifier: Apache-2.0
// A host that answers the courier as no honest one would, and a client that asks the real server directly.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <chrono>
#include <thread>

#include "base/file.h"
#include "device/card/card.h"
#include "qpcseal_session.grpc.pb.h"
#include "tests/device/support.h"

namespace qpcseal::device {
namespace {

namespace session = ::qpcseal::session::v1;

using qpcseal::testing::Cards;
using qpcseal::testing::make_request;
using qpcseal::testing::Outcome;
using qpcseal::testing::run;
using qpcseal::testing::Server;
using qpcseal::testing::TempFolder;
using qpcseal::testing::write_request;
using ::testing::HasSubstr;
using ::testing::Not;

struct Hostile final : session::SessionService::Service {
  grpc::Status status = grpc::Status::OK;
  std::string report;
  std::chrono::milliseconds delay{0};

  grpc::Status GetAttestationReport(grpc::ServerContext*, const session::GetAttestationReportRequest*,
                                    session::GetAttestationReportResponse* response) override {
    std::this_thread::sleep_for(delay);
    response->set_attestation_report(report);
    return status;
  }
};

class HostileHost : public ::testing::Test {
 protected:
  Hostile service;
  TempFolder folder;
  std::string report = (folder / "report.dat").string();

  Outcome courier() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    Outcome out = run({QPCSEAL_ATTEST, "--ip", "127.0.0.1", "--port", std::to_string(port), "--timeout", "1",
                       "-i", write_request(folder / "request", make_request()), "-o", report, "-j"});
    server->Shutdown();
    return out;
  }
  void expect_failure(int code, const std::string& words) {
    const Outcome outcome = courier();
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(words));
    EXPECT_FALSE(std::filesystem::exists(report));
  }
};

TEST_F(HostileHost, AnEmptyReportIsMalformed) { expect_failure(4, "the report is empty"); }

TEST_F(HostileHost, AReportIsAtMost64KiB) {
  service.report.assign(attest::kMaxReport + 1, 'x');
  expect_failure(4, "larger than 64 KiB");
  service.report.assign(1U << 20, 'x');
  expect_failure(4, "the answer is no report");
  service.report.assign(attest::kMaxReport, 'x');
  EXPECT_EQ(courier().code, 0);
  EXPECT_EQ(std::filesystem::file_size(report), attest::kMaxReport);
}

TEST_F(HostileHost, WhatIsNoReportIsCarriedButShownAsSuch) {
  service.report = "garbage";
  const Outcome done = courier();
  EXPECT_EQ(done.code, 0);
  EXPECT_THAT(done.out, HasSubstr("ATT-COSE"));
  EXPECT_THAT(done.out, Not(HasSubstr("unverified_claims")));
}

TEST_F(HostileHost, SilenceEndsAtTheDeadline) {
  service.delay = std::chrono::milliseconds(2500);
  service.report = "late";
  expect_failure(3, "no answer in time");
}

TEST_F(HostileHost, ItsWordsDoNotReachTheTerminalRaw) {
  service.status = {grpc::StatusCode::FAILED_PRECONDITION, "\x1b[2Jgone\n" + std::string(5000, 'x')};
  const Outcome outcome = courier();
  EXPECT_EQ(outcome.code, 5);
  EXPECT_THAT(outcome.err, HasSubstr("refused: \\x1b[2Jgone\\x0axxx"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("\x1b")));
  EXPECT_LT(outcome.err.size(), 1000U);
}

TEST_F(HostileHost, CodesTellRefusalFromFailure) {
  for (const auto code : {grpc::StatusCode::INVALID_ARGUMENT, grpc::StatusCode::NOT_FOUND,
                          grpc::StatusCode::FAILED_PRECONDITION, grpc::StatusCode::PERMISSION_DENIED}) {
    service.status = {code, "no"};
    expect_failure(5, "refused: no");
  }
  for (const auto code : {grpc::StatusCode::INTERNAL, grpc::StatusCode::UNAVAILABLE,
                          grpc::StatusCode::UNIMPLEMENTED, grpc::StatusCode::UNKNOWN}) {
    service.status = {code, "broken"};
    expect_failure(3, "broken");
  }
}

class Session : public ::testing::Test {
 protected:
  static ProvisionOptions three_cards() {
    ProvisionOptions options;
    options.cards = 3;
    return options;
  }
  Cards cards{three_cards()};
  Server server{cards};
  std::unique_ptr<session::SessionService::Stub> stub = session::SessionService::NewStub(
      grpc::CreateChannel("127.0.0.1:" + server.port(), grpc::InsecureChannelCredentials()));

  grpc::Status ask(unsigned device, ByteView request) {
    grpc::ClientContext context;
    session::GetAttestationReportRequest question;
    question.set_device(device);
    question.set_attestation_request(std::string(qpcseal::text_view(request)));
    session::GetAttestationReportResponse response;
    return stub->GetAttestationReport(&context, question, &response);
  }
};

TEST_F(Session, ListsItsCards) {
  grpc::ClientContext context;
  session::ListDevicesResponse response;
  ASSERT_TRUE(stub->ListDevices(&context, {}, &response).ok());
  ASSERT_EQ(response.devices_size(), 3);
  for (int i = 0; i < 3; ++i) {
    const auto number = static_cast<unsigned>(i);
    EXPECT_EQ(response.devices(i).number(), number);
    EXPECT_EQ(response.devices(i).ueid(), to_hex(open_card(cards.dir, number).ueid));
    EXPECT_EQ(response.devices(i).session_key(), "p256");
  }
}

TEST_F(Session, RefusesWithFittingCodes) {
  attest::Request expired = make_request();
  expired.expiry = 1;
  EXPECT_EQ(ask(0, attest::encode_request(expired)).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ask(0, view("anycontent")).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ask(0, {}).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ask(0, Bytes(5000, 0)).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ask(3, attest::encode_request(make_request())).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ask(4294967295U, attest::encode_request(make_request())).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(Session, KeepsTheHostsPathsToItself) {
  write_file(cards.dir / "cards" / "1" / "config.json", view("{"), Existing::Replace, 0600);
  std::filesystem::remove(cards.dir / "cards" / "2" / "boot" / "session.pem");
  for (const unsigned device : {1U, 2U}) {
    const grpc::Status status = ask(device, attest::encode_request(make_request()));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
    EXPECT_THAT(status.error_message(), Not(HasSubstr(cards.dir.string())));
  }
}

TEST_F(Session, AnswersManyAtOnceAndForgetsNone) {
  constexpr int kThreads = 8, kEach = 5;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([this] {
      for (int j = 0; j < kEach; ++j) EXPECT_TRUE(ask(0, attest::encode_request(make_request())).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(open_card(cards.dir, 0).answered_nonces.size(), std::size_t{kThreads} * kEach);
}

}  // namespace
}  // namespace qpcseal::device
