// SPDX-License-Identifier: Apache-2.0
#include "courier/client.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <chrono>

#include "attest/devices.h"
#include "attest/scheme.h"
#include "base/error.h"
#include "base/text.h"
#include "qpcseal_session.grpc.pb.h"

namespace qpcseal::courier {
namespace {

namespace session = ::qpcseal::session::v1;

constexpr int kMaxMessage = 2 * static_cast<int>(attest::kMaxReport);  // room for the message around a report

ErrorKind kind_of(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::NOT_FOUND:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return ErrorKind::Denied;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:  // what gRPC says of a message above the limit
      return ErrorKind::Malformed;
    default:
      return ErrorKind::Io;
  }
}

constexpr std::size_t kMostSaid = 300;  // bytes of the host's words

[[noreturn]] void fail(const grpc::Status& status) {
  const ErrorKind kind = kind_of(status.error_code());
  const std::string said = printable(status.error_message().substr(0, kMostSaid));
  if (kind == ErrorKind::Denied) throw Error(kind, "refused: " + said);
  if (kind == ErrorKind::Malformed) throw Error(kind, "the answer is no report: " + said);
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
    throw Error(kind, "no answer in time", "--timeout gives it longer");
  throw Error(kind, said.empty() ? "no answer" : said,
              "is the session service running there, and is --port right?");
}

}  // namespace

struct Client::State {
  std::unique_ptr<session::SessionService::Stub> stub;
  std::string where;
  unsigned timeout = 0;
};

std::string to_string(const Endpoint& endpoint) {
  return attest::host_and_port(endpoint.host, endpoint.port);
}

Client::Client(const Endpoint& endpoint, unsigned timeout) : state_(std::make_unique<State>()) {
  gpr_set_log_function(
      [](gpr_log_func_args*) {});  // what matters comes as a status, and is told in our words
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessage);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // the host that was named, and none in between
  state_->where = to_string(endpoint);
  state_->timeout = timeout;
  state_->stub = session::SessionService::NewStub(
      grpc::CreateCustomChannel(state_->where, grpc::InsecureChannelCredentials(), arguments));
}

Client::~Client() = default;
Client::Client(Client&&) noexcept = default;

Bytes Client::report(unsigned device, ByteView request) {
  session::GetAttestationReportRequest question;
  question.set_device(device);
  question.set_attestation_request(std::string(qpcseal::text_view(request)));
  session::GetAttestationReportResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(state_->timeout));
  return with_context(state_->where + ", card " + std::to_string(device), [&] {
    const grpc::Status status = state_->stub->GetAttestationReport(&context, question, &response);
    if (!status.ok()) fail(status);
    const std::string& report = response.attestation_report();
    if (report.empty()) throw Error(ErrorKind::Malformed, "the report is empty");
    if (report.size() > attest::kMaxReport)
      throw Error(ErrorKind::Malformed, "the report is larger than 64 KiB");
    return copy(view(report));
  });
}

}  // namespace qpcseal::courier
