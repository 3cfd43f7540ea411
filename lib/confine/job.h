// SPDX-License-Identifier: Apache-2.0
// What runs in a sandbox, what it is given, and what bounds it (sandbox.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/secret.h"

namespace qpcseal::confine {

inline constexpr const char* kBubblewrap = "/usr/bin/bwrap";

struct Limits {
  std::chrono::seconds wall{60};
  std::uint64_t cpu = 60;                             // seconds a process (RLIMIT_CPU)
  std::uint64_t memory = std::uint64_t{2} << 30;      // bytes of address space a process (RLIMIT_AS)
  std::uint64_t file_size = std::uint64_t{16} << 20;  // bytes a file (RLIMIT_FSIZE)
  // Bytes in its writable folders' file systems, of all files together that it holds open and that have no
  // name, which nobody sees in a folder.
  std::uint64_t without_name = std::uint64_t{16} << 20;
  std::uint64_t open_files = 256;  // a process (RLIMIT_NOFILE)
  std::uint64_t processes = 64;    // of the sandbox: RLIMIT_NPROC, and counted
  std::size_t output = 65536;      // bytes on standard output, and on standard error
};

// A file in the sandbox that is none outside: its bytes are in memory.
struct GivenFile {
  std::string inside;               // absolute path
  std::shared_ptr<const Fd> bytes;  // a memfd (memory_file), which several runs may share
  bool executable = false;
};
struct GivenFolder {
  std::string inside;
  Fd dir;  // an open folder or file of the host's
  bool writable = false;
};
struct GivenSecret {
  std::string inside;                   // mode 0400
  std::function<SecretBuffer()> fetch;  // at most kMaxSecret bytes; what it throws ends the run
};
inline constexpr std::size_t kMaxSecret = 4096;  // bytes: they fit into a pipe

struct Job {
  std::vector<std::string> command;  // an absolute path inside, and arguments
  std::vector<GivenFile> files;
  std::vector<GivenFolder> folders;
  std::optional<GivenSecret> secret;
  Bytes input;  // standard input
  Limits limits;
  // Asked some ten times a second; a text that is not empty ends the run.
  std::function<std::string()> watch = {};
};

}  // namespace qpcseal::confine
