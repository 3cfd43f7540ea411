// SPDX-License-Identifier: Apache-2.0
#include "tests/support/forward/link.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace qpcseal::forward {
namespace {

// A PKCS#11 module is one per process by definition: this is that process's state.
struct State {
  std::atomic<bool> initialized{false};
  std::atomic<bool> removed{false};
  std::atomic<unsigned> generation{0};  // connections of an earlier C_Initialize are not used again
  std::atomic<pid_t> owner{0};
  std::string path;  // of the socket; written before `initialized`, read after
};
State& state() {
  static State instance;
  return instance;
}

class Connection {
 public:
  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { drop(); }
  void drop() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int socket() {
    const unsigned current = state().generation;
    if (generation_ != current) drop();
    generation_ = current;
    if (fd_ < 0) {
      fd_ = connect_to(state().path);
    }
    return fd_;
  }

 private:
  int fd_ = -1;
  unsigned generation_ = 0;
};

Connection& connection() {
  thread_local Connection mine;
  return mine;
}

CK_RV gone() {
  state().removed = true;
  connection().drop();
  return CKR_DEVICE_REMOVED;
}

}  // namespace

CK_RV open_line(const std::string& path) {
  if (state().initialized && state().owner == ::getpid()) return CKR_CRYPTOKI_ALREADY_INITIALIZED;
  state().path = path;
  state().removed = false;
  state().owner = ::getpid();
  ++state().generation;
  state().initialized = true;
  const CK_RV result = Call(Fn::Initialize).run();
  if (result != CKR_OK) state().initialized = false;
  return result;
}

CK_RV close_line() {
  if (!state().initialized || state().owner != ::getpid()) return CKR_CRYPTOKI_NOT_INITIALIZED;
  CK_RV result = Call(Fn::Finalize).run();
  if (result == CKR_DEVICE_REMOVED) result = CKR_OK;  // nothing is left to finalize
  if (result != CKR_OK) return result;
  connection().drop();
  ++state().generation;
  state().initialized = false;
  return CKR_OK;
}

template <typename Act>
Call& Call::guarded(Act&& act) {
  try {
    if (refused_ == CKR_OK) act();
  } catch (const WireError&) {
    refused_ = CKR_DATA_LEN_RANGE;
  }
  return *this;
}

Call::Call(Fn fn) {
  const auto number = static_cast<std::uint32_t>(fn);
  request_.raw(&number, sizeof number);
}

Call& Call::number(CK_ULONG value) {
  return guarded([&] { request_.number(value); });
}

Call& Call::blob(const void* data, CK_ULONG size) {
  return guarded([&] { request_.blob(data, size); });
}

Call& Call::mechanism(const CK_MECHANISM* mechanism) {
  return guarded([&] {
    if (!put_mechanism(request_, mechanism)) refused_ = CKR_MECHANISM_PARAM_INVALID;
  });
}

Call& Call::attributes(const CK_ATTRIBUTE* attributes, CK_ULONG count) {
  return guarded([&] { put_template(request_, attributes, count); });
}

Call& Call::room(const void* buffer, const CK_ULONG* capacity) {
  if (capacity == nullptr) refused_ = CKR_ARGUMENTS_BAD;
  return guarded([&] { request_.byte(buffer != nullptr ? 1 : 0).number(*capacity); });
}

CK_RV Call::exchange(Reader& reply) {
  if (!state().initialized || state().owner != ::getpid()) return CKR_CRYPTOKI_NOT_INITIALIZED;
  if (state().removed) return CKR_DEVICE_REMOVED;
  if (refused_ != CKR_OK) return refused_;
  const int socket = connection().socket();
  if (socket < 0) return gone();
  try {
    send_frame(socket, request_.data());
    auto frame = receive_frame(socket);
    if (!frame) return gone();
    reply = Reader(std::move(*frame));
    return reply.number();
  } catch (const WireError&) {
    return gone();
  }
}

void take_bytes(Reader& reply, CK_BYTE* out, CK_ULONG* length) {
  const CK_ULONG told = reply.number();
  Blob bytes = reply.blob();
  if (out != nullptr && bytes.present) {
    const std::size_t size = std::min<std::size_t>(bytes.data.size(), *length);
    if (size > 0) std::memcpy(out, bytes.data.data(), size);
  }
  wipe(bytes.data);
  *length = told;
}

void take_numbers(Reader& reply, CK_ULONG* out, CK_ULONG* count) {
  const CK_ULONG told = reply.number();
  const Blob bytes = reply.blob();
  if (out != nullptr && bytes.present) {
    const std::size_t size = std::min<std::size_t>(bytes.data.size() / sizeof *out, *count);
    if (size > 0) std::memcpy(out, bytes.data.data(), size * sizeof *out);
  }
  *count = told;
}

}  // namespace qpcseal::forward
