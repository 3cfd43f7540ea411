// SPDX-License-Identifier: Apache-2.0
// forward-token: holds a PKCS#11 token for the processes that load libforward-token.so, until SIGTERM.
//
//   forward-token --socket PATH --module PATH [--arguments STRING] [--faults FILE] [--trace FILE]
//                 [--record-keys FILE]
//
// --arguments    C_Initialize's pReserved string for the module, where it wants one
// --faults       see faults.h
// --trace        each call's name, its CK_RV and its faults, a line each
// --record-keys  the value of each secret key that is made, in hexadecimal, with its label: memscan's input
#include <dlfcn.h>
#include <signal.h>

#include <cstdio>
#include <string_view>
#include <thread>

#include "tests/support/forward/server.h"

namespace {

using qpcseal::forward::Server;
using qpcseal::forward::Settings;

struct Arguments {
  Settings settings;
  std::string module;
};

void assign(Arguments& arguments, std::string_view option, const char* value) {
  if (option == "--socket")
    arguments.settings.socket = value;
  else if (option == "--module")
    arguments.module = value;
  else if (option == "--arguments")
    arguments.settings.init_string = value;
  else if (option == "--faults")
    arguments.settings.faults = value;
  else if (option == "--trace")
    arguments.settings.trace = value;
  else if (option == "--record-keys")
    arguments.settings.record_keys = value;
  else
    throw std::runtime_error("unknown option " + std::string(option));
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) throw std::runtime_error(std::string(argv[i]) + " lacks its value");
    assign(arguments, argv[i], argv[i + 1]);
  }
  if (arguments.settings.socket.empty() || arguments.module.empty())
    throw std::runtime_error("--socket and --module are needed");
  return arguments;
}

CK_FUNCTION_LIST* load(const std::string& path) {
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(::dlerror());
  const auto get = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(library, "C_GetFunctionList"));
  CK_FUNCTION_LIST* list = nullptr;
  if (get == nullptr || get(&list) != CKR_OK) throw std::runtime_error(path + " is no PKCS#11 module");
  return list;
}

// SIGTERM is taken by a thread that waits for it, so no call into the module is ever interrupted.
void stop_on_sigterm(Server& server) {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([&server, signals] {
    int got = 0;
    ::sigwait(&signals, &got);
    server.stop("told to stop", 0);
  }).detach();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Arguments arguments = parse(argc, argv);
    Server server(load(arguments.module), std::move(arguments.settings));
    stop_on_sigterm(server);
    server.serve();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forward-token: %s\n", error.what());
    return 2;
  }
}
