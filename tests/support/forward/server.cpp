// SPDX-License-Identifier: Apache-2.0
#include "tests/support/forward/server.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <thread>

namespace qpcseal::forward {
namespace {

constexpr auto kOwnerPatience = std::chrono::seconds(10);

// NSS reads a string where others keep a null; its structure has a field more.
struct InitArguments {
  CK_C_INITIALIZE_ARGS standard{};
  void* beyond = nullptr;
};

pid_t peer_of(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : -1;
}

bool makes_secret_key(Fn fn) {
  return fn == Fn::GenerateKey || fn == Fn::UnwrapKey || fn == Fn::DeriveKey || fn == Fn::CreateObject;
}

}  // namespace

Server::Server(CK_FUNCTION_LIST* module, Settings settings)
    : settings_(std::move(settings)), token_(module), faults_(settings_.faults) {}

void Server::stop(const char* why, int code) {
  std::fprintf(stderr, "forward-token: %s\n", why);
  ::unlink(settings_.socket.c_str());
  ::_exit(code);
}

void Server::serve() {
  const std::string path = settings_.socket.string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) stop("the socket's path is too long", 2);
  std::memcpy(address.sun_path, path.data(), path.size());
  ::unlink(path.c_str());
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || ::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 64) != 0)
    stop("cannot listen", 2);
  for (;;) {
    const int socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket >= 0) std::thread([this, socket] { serve_connection(socket); }).detach();
  }
}

void Server::serve_connection(int socket) {
  const pid_t client = peer_of(socket);
  arrive(client);
  try {
    while (answer(socket, client)) continue;
  } catch (const WireError& error) {
    std::fprintf(stderr, "forward-token: a connection ends: %s\n", error.what());
  } catch (const std::exception& error) {
    stop(error.what(), 3);
  }
  ::close(socket);
  leave(client);
}

void Server::arrive(pid_t client) {
  const std::lock_guard lock(mutex_);
  ++connections_[client];
}

void Server::leave(pid_t client) {
  const std::lock_guard lock(mutex_);
  if (--connections_[client] > 0) return;
  connections_.erase(client);
  if (initialized_ && owner_ == client) {
    token_.module().C_Finalize(nullptr);
    token_.forget_operations();
    initialized_ = false;
  }
  changed_.notify_all();
}

bool Server::answer(int socket, pid_t client) {
  auto frame = receive_frame(socket);
  if (!frame) return false;
  Reader in(std::move(*frame));
  std::uint32_t number = 0;
  in.raw(&number, sizeof number);
  const Fn fn{number};
  Writer results;
  const CK_RV result = call(fn, client, faults_.next(fn), in, results);
  Writer reply;
  reply.number(result).raw(results.data().data(), results.data().size());
  send_frame(socket, reply.data());
  return true;
}

CK_RV Server::call(Fn fn, pid_t client, const Faults& faults, Reader& in, Writer& out) {
  if (const auto wait = faults.argument(FaultKind::Delay))
    std::this_thread::sleep_for(std::chrono::milliseconds(*wait));
  if (!faults.rules.empty()) trace(fn, CKR_OK, faults);
  if (faults.has(FaultKind::Vanish)) stop("vanishes before the call", 0);
  if (faults.has(FaultKind::Kill)) ::kill(client, SIGKILL);
  if (faults.has(FaultKind::Kill)) throw WireError("the client was killed");
  if (faults.has(FaultKind::Stop)) ::kill(client, SIGSTOP);
  if (const auto code = faults.argument(FaultKind::Return)) return *code;
  const CK_SESSION_HANDLE session = in.peek_number();  // of every call that makes a key
  Writer results;
  CK_RV result = CKR_CRYPTOKI_NOT_INITIALIZED;
  if (fn == Fn::Initialize)
    result = initialize(client);
  else if (fn == Fn::Finalize)
    result = finalize(client);
  else if (initialized_ && owner_ == client)
    result = token_.perform(fn, faults, in, results);
  if (result == CKR_OK) record(fn, session, results);
  if (faults.rules.empty()) trace(fn, result, faults);
  if (faults.has(FaultKind::VanishAfter)) stop("vanishes after the call", 0);
  if (faults.has(FaultKind::KillAfter)) ::kill(client, SIGKILL);
  if (faults.has(FaultKind::KillAfter)) throw WireError("the client was killed");
  if (faults.has(FaultKind::StopAfter)) ::kill(client, SIGSTOP);
  if (const auto code = faults.argument(FaultKind::ReturnAfter)) return *code;
  out.raw(results.data().data(), results.data().size());
  return result;
}

CK_RV Server::start_module() {
  InitArguments arguments;
  arguments.standard.flags = CKF_OS_LOCKING_OK;
  if (!settings_.init_string.empty()) arguments.standard.pReserved = settings_.init_string.data();
  return token_.module().C_Initialize(&arguments);
}

CK_RV Server::initialize(pid_t client) {
  std::unique_lock lock(mutex_);
  const bool free =
      changed_.wait_for(lock, kOwnerPatience, [&] { return !initialized_ || owner_ == client; });
  if (!free || initialized_) return CKR_CRYPTOKI_ALREADY_INITIALIZED;
  const CK_RV result = start_module();
  initialized_ = result == CKR_OK;
  owner_ = client;
  return result;
}

CK_RV Server::finalize(pid_t client) {
  const std::lock_guard lock(mutex_);
  if (!initialized_ || owner_ != client) return CKR_CRYPTOKI_NOT_INITIALIZED;
  const CK_RV result = token_.module().C_Finalize(nullptr);
  if (result != CKR_OK) return result;
  token_.forget_operations();
  initialized_ = false;
  changed_.notify_all();
  return result;
}

// A handle of a key just made: its value goes to the record, so that a test knows even keys that live for one
// call.
void Server::record(Fn fn, CK_SESSION_HANDLE session, const Writer& results) {
  if (settings_.record_keys.empty() || !makes_secret_key(fn) || results.data().size() < sizeof(std::uint64_t))
    return;
  std::uint64_t handle = 0;
  std::memcpy(&handle, results.data().data(), sizeof handle);
  CK_SESSION_INFO info{};
  if (token_.module().C_GetSessionInfo(session, &info) != CKR_OK) return;
  const std::string line = to_line(known_key(token_.module(), info.slotID, handle));
  const std::lock_guard lock(trace_mutex_);
  std::ofstream(settings_.record_keys, std::ios::app | std::ios::binary) << line;
}

void Server::trace(Fn fn, CK_RV result, const Faults& faults) {
  if (settings_.trace.empty()) return;
  std::ostringstream line;
  line << name_of(fn) << " 0x" << std::hex << result;
  for (const auto& [kind, rule] : faults.rules) line << ' ' << name_of(kind);
  line << '\n';
  const std::lock_guard lock(trace_mutex_);
  std::ofstream(settings_.trace, std::ios::app | std::ios::binary) << line.str();
}

}  // namespace qpcseal::forward
