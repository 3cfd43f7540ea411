// SPDX-License-Identifier: Apache-2.0
// What the process gives up before it reads anything.
#pragma once

namespace qpcseal::cli {

// No core dumps, no tracing by other processes of the user, files private by default, and no configuration of
// OpenSSL from the environment (OPENSSL_CONF could load an engine). Standard descriptors that are closed
// become /dev/null, so that no file opened later is written to as if it were the terminal.
void harden_process();

}  // namespace qpcseal::cli
