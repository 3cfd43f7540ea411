// SPDX-License-Identifier: Apache-2.0
// `serve`: the session service over gRPC. The channel is not protected, for nothing on it is secret or
// trusted.
#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <memory>

#include "attest/devices.h"
#include "base/error.h"
#include "base/print.h"
#include "device/card/answer.h"
#include "device/cli/commands.h"
#include "qpcseal_session.grpc.pb.h"

namespace qpcseal::device {
namespace {

namespace session = ::qpcseal::session::v1;

constexpr int kMaxMessage = 65536;

struct ServeOptions {
  std::string dir, port_file, address = "127.0.0.1";
  int port = 62473;
};

class Service final : public session::SessionService::Service {
 public:
  explicit Service(std::string dir) : dir_(std::move(dir)) {}

  grpc::Status GetAttestationReport(grpc::ServerContext*, const session::GetAttestationReportRequest* request,
                                    session::GetAttestationReportResponse* response) override {
    if (!card_exists(dir_, request->device()))
      return {grpc::StatusCode::NOT_FOUND, "there is no card " + std::to_string(request->device())};
    attest::Request question;
    try {
      question = parse_question(view(request->attestation_request()));
    } catch (const Error& error) {
      return {grpc::StatusCode::INVALID_ARGUMENT, error.what()};
    }
    return guarded([&] {
      const Bytes report = answer(dir_, request->device(), question, SystemClock());
      response->set_attestation_report(std::string(text_view(report)));
    });
  }

  grpc::Status ListDevices(grpc::ServerContext*, const session::ListDevicesRequest*,
                           session::ListDevicesResponse* response) override {
    return guarded([&] {
      for (const unsigned number : card_numbers(dir_)) {
        const CardConfig config = read_config(dir_, number);
        session::Device* device = response->add_devices();
        device->set_number(number);
        device->set_ueid(to_hex(config.ueid));
        device->set_session_key(std::string(attest::to_string(config.session_key)));
      }
    });
  }

 private:
  // What went wrong with the card's own files is told to the host's operator, not to whoever is on the
  // network.
  template <typename Act>
  grpc::Status guarded(Act&& act) const {
    try {
      act();
      return grpc::Status::OK;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::Denied) return {grpc::StatusCode::FAILED_PRECONDITION, error.what()};
      print_failure("qpcseal-device", error.what(), error.hint());
    } catch (const std::exception& error) {
      print_failure("qpcseal-device", std::string("internal: ") + error.what());
    }
    return {grpc::StatusCode::INTERNAL, "the card failed; its host knows more"};
  }

  std::string dir_;
};

// Blocked before any thread starts, so that all threads inherit it and only sigwait sees them.
sigset_t block_stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  if (::pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0)
    throw Error(ErrorKind::Internal, "blocking signals failed");
  return set;
}

int run_serve(const ServeOptions& options) {
  static_cast<void>(card_numbers(options.dir));
  gpr_set_log_function(
      [](gpr_log_func_args*) {});  // what matters comes as a status, and is told in our words
  const sigset_t stop = block_stop_signals();
  Service service(options.dir);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(attest::host_and_port(options.address, options.port),
                           grpc::InsecureServerCredentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a port that another server has is an error
  builder.SetMaxReceiveMessageSize(kMaxMessage);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server || port == 0)
    throw Error(ErrorKind::Io, attest::host_and_port(options.address, options.port) + ": cannot listen there",
                "another server may have that port already, or the address is not one of this machine's");
  if (!options.port_file.empty())
    write_file(options.port_file, view(std::to_string(port) + "\n"), Existing::Replace);
  print("listening on " + attest::host_and_port(options.address, port) + "\n");
  int signal = 0;
  ::sigwait(&stop, &signal);
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2));
  server->Wait();
  return 0;
}

}  // namespace

void add_serve(CLI::App& app, Context& context) {
  const auto options = std::make_shared<ServeOptions>();
  CLI::App* command =
      app.add_subcommand("serve", "Answer attestation requests over the network until SIGTERM");
  command->add_option("--dir", options->dir, "Folder of the simulated cards")->required();
  command->add_option("--port", options->port, "TCP port (default 62473; 0 takes any that is free)")
      ->check(CLI::Range(0, 65535));
  command->add_option("--port-file", options->port_file, "Where to write the port once the service answers");
  command->add_option("--address", options->address, "Address to listen on (default 127.0.0.1)");
  command->callback([&context, options] { context.command = [options] { return run_serve(*options); }; });
}

}  // namespace qpcseal::device
