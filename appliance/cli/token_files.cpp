// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/token_files.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace qpcseal::cli {

namespace {

using std::filesystem::path;

constexpr const char* kRead[] = {"/etc/softhsm",  "/etc/pkcs11",        "/etc/opencryptoki", "/etc/opensc",
                                 "/etc/tpm2-tss", "/etc/reader.conf.d", "/usr/share/p11-kit"};
constexpr const char* kWrite[] = {"/var/lib/softhsm",
                                  "/var/lib/opencryptoki",
                                  "/run/lock/opencryptoki",
                                  "/run/opencryptoki",
                                  "/run/pcscd",
                                  "/dev/shm",
                                  "/dev/tpm0",
                                  "/dev/tpmrm0"};
constexpr const char* kInUsersFolder[] = {".config/softhsm2", ".config/pkcs11", ".config/opensc",
                                          ".cache/opensc",    ".tpm2_pkcs11",   ".eid"};

// Folders for objects (directories.tokendir) in a configuration of SoftHSM; none where it cannot be read.
std::vector<path> softhsm_folders(const path& configuration) {
  std::vector<path> out;
  std::ifstream file(configuration);
  for (std::string line; std::getline(file, line);) {
    const std::size_t at = line.find('/');
    if (line.starts_with("directories.tokendir") && at != std::string::npos)
      out.emplace_back(line.substr(at));
  }
  return out;
}

const char* absolute_variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value == '/' ? value : nullptr;
}

}  // namespace

void add_token_files(process::FileAccess& to) {
  for (const char* name : kRead) to.read.emplace_back(name);
  for (const char* name : kWrite) to.write.emplace_back(name);
  if (const char* home = absolute_variable("HOME"); home != nullptr)
    for (const char* name : kInUsersFolder) to.write.push_back(path(home) / name);
  if (const char* store = absolute_variable("TPM2_PKCS11_STORE"); store != nullptr)
    to.write.emplace_back(store);
  if (const char* file = absolute_variable("SOFTHSM2_CONF"); file != nullptr) {
    to.read.emplace_back(file);
    for (path& dir : softhsm_folders(file)) to.write.push_back(std::move(dir));
  }
}

std::vector<path> paths_in(const std::string& arguments) {
  std::vector<path> out;
  for (std::size_t at = arguments.find('/'); at != std::string::npos;) {
    const std::size_t end = std::min(arguments.find_first_of("'\" ,;\t", at), arguments.size());
    out.emplace_back(arguments.substr(at, end - at));
    at = arguments.find('/', end);
  }
  return out;
}

}  // namespace qpcseal::cli
