// SPDX-License-Identifier: Apache-2.0
// How the process of one command confines itself, in two steps that only narrow.
//
// 1. begin(), once the command line is parsed and before any file is read: closes descriptors that nobody
//    gave on purpose. A command without a token gets a filter that knows files, memory and threads alone, and
//    the files that its command line names. A command with a token loses what no command needs.
// 2. before_module(), before the code of a token's maker is loaded: no exec, no namespaces, no sockets but
//    AF_UNIX (others where the site accepts "module-network"); home, files of the command line, the module's.
//
// Programs of other makers run in sandboxes, which a confined process cannot set up: a launcher does, begun
// before the step that would refuse it (confine/launcher.h). Behind step 2 it runs what the site's facts pin,
// and there is none where they pin nothing.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "process/file_access.h"

namespace qpcseal::cli {

// Of a token's module: its file, C_Initialize's pReserved string, the PIN's file, what else it reads and
// writes.
struct ModuleNeeds {
  std::string module, arguments, pin_source;
  std::vector<std::string> files;
  bool network = false;
  std::vector<std::string> programs;  // SHA-256, in hex, of what may run in a sandbox
  std::filesystem::path home;         // empty: none
};

class Confinement {
 public:
  // `app` has parsed; `words` are argv. Error{Io}.
  void begin(const CLI::App& app, std::span<char* const> words);
  // Once; later calls do nothing, for a filter cannot be widened. Error{Io}.
  void before_module(const ModuleNeeds& needs);

  // What this kernel cannot do of it: "system calls", "files". Empty: nothing.
  [[nodiscard]] const std::vector<std::string>& lacking() const { return lacking_; }
  // For people: "no dumps, no new privileges, system calls filtered (seccomp), ...".
  [[nodiscard]] std::string text() const;

 private:
  void limit_files();

  process::FileAccess files_;
  bool memory_locked_ = false, network_ = false, limited_ = false;
  std::vector<std::string> lacking_;
};

}  // namespace qpcseal::cli
