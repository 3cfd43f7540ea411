// The trust folder: the vendor's root certificates and CRLs, as files.
#pragma once

#include <filesystem>
#include <vector>

#include "attest/certpath.h"
#include "base/bytes.h"
#include "base/digest.h"

namespace qpcseal::release {

struct TrustFile {
  std::string name;  // file name in the folder
  Bytes der;         // one certificate or CRL
};

struct Trust {
  std::vector<TrustFile> roots, crls;
  attest::CrlNumbers crl_floors;  // from the log: what releases have seen
  // SHA-256 over kind, name and content of all files in order of name: what the genesis entry pins.
  Sha256Digest digest{};
};

// Reads a folder of *.pem, *.crt, *.cer, *.der (certificates) and *.crl (PEM or DER; one item a file). Any
// other file is Error{Malformed}, and so is a folder without a certificate. At most 64 files of 64 KiB each.
Trust read_trust(const std::filesystem::path& folder);

}  // namespace qpcseal::release
