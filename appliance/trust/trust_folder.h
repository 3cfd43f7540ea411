// SPDX-License-Identifier: Apache-2.0
// The vendor's root certificates and CRLs: the trust folder that an appliance begins with, or the collateral
// bundle that takes its place (trust/collateral_bundle.h).
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "attest/certpath.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "policy/facts.h"

namespace qpcseal::trust {

struct TrustFile {
  std::string name;  // file name in the folder
  Bytes der;         // one certificate or CRL
};

struct Trust {
  std::vector<TrustFile> roots, crls;
  attest::CrlNumbers crl_floors;  // from the log: what releases have seen
  // Of a folder SHA-256 over kind, name and content of all files in order of name, of a bundle SHA-256 of its
  // bytes: what the log pins.
  Sha256Digest digest{};
  policy::CollateralFacts collateral;  // of a bundle
};

// Reads a folder of *.pem, *.crt, *.cer, *.der (certificates) and *.crl (PEM or DER; one item a file). Any
// other file is Error{Malformed}, and so is a folder without a certificate. At most 64 files of 64 KiB each.
Trust read_trust(const std::filesystem::path& dir);
// The same of a folder's files, by name.
Trust trust_of_files(const std::map<std::string, Bytes>& files);
// What `digest` must be.
Sha256Digest digest_of(const Trust& trust);

std::vector<Bytes> ders(const std::vector<TrustFile>& files);
// Error{Malformed} where the DER is not one certificate, or not a list that attest::read_crl() takes.
void check_root(const Bytes& der);
void check_crl(const Bytes& der);
// For material that comes in: Error{Malformed} names the file of a list that check_crl() refuses, or says
// what attest::check_lists() or attest::refuse_forged() does. A folder in force is read without this check;
// there each such list denies.
void check_crls(const Trust& trust);
// "CN=..." and for a CRL its number and dates.
std::string describe_root(const Bytes& der);
std::string describe_crl(const Bytes& der);

}  // namespace qpcseal::trust
