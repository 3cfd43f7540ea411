// SPDX-License-Identifier: Apache-2.0
// What tokens of Debian's packages read and write beside their module.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "process/file_access.h"

namespace qpcseal::cli {

// Configuration, sockets and objects of SoftHSM, p11-kit, opencryptoki, OpenSC, PC/SC and TPM: in the system,
// in the user's folder, and where SOFTHSM2_CONF and TPM2_PKCS11_STORE say.
void add_token_files(process::FileAccess& to);

// Every absolute path in C_Initialize's pReserved string: NSS says configdir='sql:/var/lib/token'.
std::vector<std::filesystem::path> paths_in(const std::string& arguments);

}  // namespace qpcseal::cli
