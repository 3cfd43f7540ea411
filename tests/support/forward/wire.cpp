// SPDX-License-Identifier: Apache-2.0
#include "tests/support/forward/wire.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace qpcseal::forward {
namespace {

constexpr std::array kNames = {
#define X(name) "C_" #name,
    QPCSEAL_FORWARD_CALLS(X)
#undef X
};

bool receive_exact(int socket, std::uint8_t* out, std::size_t size) {
  while (size > 0) {
    const ssize_t got = ::recv(socket, out, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    out += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

void send_exact(int socket, const std::uint8_t* data, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(socket, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) throw WireError("the peer has gone");
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
}

}  // namespace

std::string name_of(Fn fn) {
  const auto index = static_cast<std::size_t>(fn);
  return index < kNames.size() ? kNames[index] : "control";
}

std::optional<Fn> function_named(std::string_view name) {
  const auto* found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Fn>(found - kNames.begin());
}

void wipe(Bytes& bytes) {
  if (!bytes.empty()) ::explicit_bzero(bytes.data(), bytes.size());
}

Writer::~Writer() { wipe(data_); }

Writer& Writer::raw(const void* data, std::size_t size) {
  const std::size_t needed = data_.size() + size;
  if (needed > kMaxFrame) throw WireError("the message is too long");
  if (needed > data_.capacity()) {
    // Grown by hand: a vector would leave the old copy behind unwiped.
    Bytes larger;
    larger.reserve(std::max(needed, 2 * data_.capacity() + 256));
    larger.assign(data_.begin(), data_.end());
    wipe(data_);
    data_.swap(larger);
  }
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  if (size > 0) data_.insert(data_.end(), bytes, bytes + size);
  return *this;
}

Writer& Writer::blob(const void* data, std::size_t size) {
  byte(data != nullptr ? 1 : 0).number(size);
  return data != nullptr ? raw(data, size) : *this;
}

Reader::~Reader() { wipe(frame_); }

void Reader::raw(void* out, std::size_t size) {
  if (size > remaining()) throw WireError("the message is truncated");
  if (size > 0) std::memcpy(out, frame_.data() + at_, size);
  at_ += size;
}

std::uint8_t Reader::byte() {
  std::uint8_t value = 0;
  raw(&value, sizeof value);
  return value;
}

std::uint64_t Reader::number() {
  std::uint64_t value = 0;
  raw(&value, sizeof value);
  return value;
}

std::uint64_t Reader::peek_number() const {
  std::uint64_t value = 0;
  if (remaining() >= sizeof value) std::memcpy(&value, frame_.data() + at_, sizeof value);
  return value;
}

Blob Reader::blob() {
  Blob blob;
  blob.present = byte() != 0;
  blob.length = number();
  if (!blob.present) return blob;
  if (blob.length > remaining()) throw WireError("the message is truncated");
  blob.data.reserve(blob.length + 1);  // data() is not null for an empty one
  blob.data.resize(blob.length);
  raw(blob.data.data(), blob.length);
  return blob;
}

void send_frame(int socket, const Bytes& frame) {
  const auto size = static_cast<std::uint32_t>(frame.size());
  std::array<std::uint8_t, sizeof size> head{};
  std::memcpy(head.data(), &size, sizeof size);
  send_exact(socket, head.data(), head.size());
  send_exact(socket, frame.data(), frame.size());
}

std::optional<Bytes> receive_frame(int socket) {
  std::uint32_t size = 0;
  std::array<std::uint8_t, sizeof size> head{};
  if (!receive_exact(socket, head.data(), head.size())) return std::nullopt;
  std::memcpy(&size, head.data(), sizeof size);
  if (size > kMaxFrame) throw WireError("the frame is too long");
  Bytes frame(size);
  if (!receive_exact(socket, frame.data(), frame.size())) return std::nullopt;
  return frame;
}

int connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return -1;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

}  // namespace qpcseal::forward
