// SPDX-License-Identifier: Apache-2.0
// forward-token's work: listens on a socket, one thread a connection, and makes the calls on the one real
// module.
//
// The module is initialized for one client process at a time, as a token's library would be in that process.
// When the last connection of that process closes, however it ended, its C_Finalize is made for it.
#pragma once

#include <sys/types.h>

#include <condition_variable>

#include "tests/support/forward/keydump.h"
#include "tests/support/forward/token.h"

namespace qpcseal::forward {

struct Settings {
  std::filesystem::path socket, faults, trace, record_keys;
  std::string init_string;  // C_Initialize's pReserved, as NSS wants it
};

class Server {
 public:
  Server(CK_FUNCTION_LIST* module, Settings settings);
  [[noreturn]] void serve();
  // Ends the process, at once and without destructors: the module's library may not survive those of an
  // orderly exit, and a token that is pulled out has none.
  [[noreturn]] void stop(const char* why, int code);

 private:
  void serve_connection(int socket);
  bool answer(int socket, pid_t client);
  CK_RV call(Fn fn, pid_t client, const Faults& faults, Reader& in, Writer& out);
  CK_RV initialize(pid_t client);
  CK_RV finalize(pid_t client);
  CK_RV start_module();
  void arrive(pid_t client);
  void leave(pid_t client);
  void record(Fn fn, CK_SESSION_HANDLE session, const Writer& results);
  void trace(Fn fn, CK_RV result, const Faults& faults);

  Settings settings_;
  Token token_;
  FaultFile faults_;
  std::mutex mutex_, trace_mutex_;
  std::condition_variable changed_;
  std::map<pid_t, unsigned> connections_;
  bool initialized_ = false;
  pid_t owner_ = 0;
};

}  // namespace qpcseal::forward
