// SPDX-License-Identifier: Apache-2.0
// A folder of simulated cards that is gone after the test, requests to them, and the real programs.
#pragma once

#include <sys/types.h>
#include <filesystem>
#include <string>
#include <vector>

#include "attest/request.h"
#include "attest/scheme.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "device/card/provision.h"

namespace qpcseal::testing {

class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Cards made at the real time: their certificates and requests are judged by it.
struct Cards {
  explicit Cards(device::ProvisionOptions options = {});
  TempFolder folder;
  std::filesystem::path dir;  // as --dir has it
  [[nodiscard]] attest::VerifyContext context() const;
};

UnixTime now();
// A request that any of these cards answers: fresh nonce, an hour to go, all key types.
attest::Request make_request();
std::string write_request(const std::filesystem::path& path, const attest::Request& request);

struct Outcome {
  int code = -1;  // exit code
  std::string out, err;
};
Outcome run(const std::vector<std::string>& command);

// `qpcseal-device serve` on a port of its own, until the end of its scope.
class Server {
 public:
  explicit Server(const Cards& cards);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  [[nodiscard]] std::string port() const { return port_; }
  // Sends a signal; the exit code, or -1 where it did not end by itself.
  int stop(int signal);

 private:
  ::pid_t pid_ = -1;
  std::string port_;
};

}  // namespace qpcseal::testing
