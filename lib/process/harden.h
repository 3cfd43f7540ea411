// SPDX-License-Identifier: Apache-2.0
// What every program gives up before it reads anything: its command line comes later.
//
// LD_PRELOAD and the other variables of the dynamic linker have had their effect when main() starts; harden()
// keeps them from modules that are loaded later and from child processes.
#pragma once

#include <set>
#include <span>
#include <string>

namespace qpcseal::process {

// No core dumps, no tracing by other processes of the user (PR_SET_DUMPABLE), no privileges by exec
// (PR_SET_NO_NEW_PRIVS), as many open files as the system allows up to 65,536, and write errors instead of
// SIGPIPE and SIGXFSZ. Standard descriptors that are closed become /dev/null, so that no file opened later is
// taken for the terminal. Clears the environment (clear_environment) and starts OpenSSL without a
// configuration: OPENSSL_CONF and openssl.cnf can name a library to load. Call it while there is one thread.
// Error{Io}, Error{Internal}.
void harden();

// Whether the variable can make a library load code, or read a file that can: LD_*, OPENSSL_*, P11_KIT_*,
// GCONV_PATH and others of this kind.
[[nodiscard]] bool loads_code(const std::string& variable);
void clear_environment();

// Descriptors that these words name: /dev/fd/N, /proc/self/fd/N.
std::set<int> named_descriptors(std::span<char* const> words);
// Closes all descriptors but 0, 1, 2 and these (calls close_range(2)).
void close_others(const std::set<int>& kept);

// Keeps all memory, now and later, out of swap (mlockall). False where the limit on locked memory is finite:
// an allocation beyond it would fail. Secrets are locked all the same (base/secret.h).
[[nodiscard]] bool lock_memory();

}  // namespace qpcseal::process
