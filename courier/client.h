// SPDX-License-Identifier: Apache-2.0
// The session service of a card's host, as seen over the network.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"

namespace qpcseal::courier {

struct Endpoint {
  std::string host = {};  // a name or an address
  int port = 62473;
};
// "host:62473", "[::1]:62473"
std::string to_string(const Endpoint& endpoint);

class Client {
 public:
  // Each call ends after `timeout` seconds.
  Client(const Endpoint& endpoint, unsigned timeout);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) = delete;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // The card's report, 1 byte to 64 KiB; nothing about it is verified. Throws Error{Io} where the host does
  // not answer, Error{Denied} where it does and the card refuses, Error{Malformed} for an answer that cannot
  // be.
  Bytes report(unsigned device, ByteView request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qpcseal::courier
