// SPDX-License-Identifier: Apache-2.0
// The one process that may still start programs, for a process that confines itself.
//
// A process whose filters refuse exec and mounts cannot set up a sandbox. Its launcher can: a child that is
// begun before them. From then on run() and load_pinned() have the launcher do the work. It takes two
// requests, and starts nothing but bubblewrap.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace qpcseal::confine {

struct LauncherOptions {
  // SHA-256, in hex, of the programs and files that may be executed in a sandbox; nothing: any.
  std::optional<std::vector<std::string>> programs;
  std::function<void()> confine;  // what the launcher gives up itself
};

// Once, while the process has one thread, and before it reads a secret where it can. The launcher keeps no
// descriptor of this process, and ends with it. Error{Io}.
void start_launcher(const LauncherOptions& options);

}  // namespace qpcseal::confine
