// SPDX-License-Identifier: Apache-2.0
#include "attest/certpath.h"

#include <algorithm>

#include "base/digest.h"
#include "tests/fuzz/fuzz.h"

using namespace qpcseal;

namespace {

constexpr UnixTime kNow = 1800000000;  // the seeds are valid then
// SHA-256 of the seeds' root, the only one that is trusted, and the UEID of their card.
constexpr const char* kRoot = "bb6042c75996418fcb066657db926b46cea40adb838ead0baf9a4ed18680612d";
constexpr const char* kUeid = "0102030405060708090a";

const Bytes& trusted_root() {
  static const Bytes digest = from_hex(kRoot);
  return digest;
}

std::vector<ByteView> split(ByteView input) {
  ByteReader reader(input, "fuzz");
  std::vector<ByteView> out;
  while (reader.remaining() > 0) out.push_back(reader.lp16());
  return out;
}

}  // namespace

// lp(root) || lp(certificate of the chain, leaf first)... The last item is tried as a revocation list too.
QPCSEAL_FUZZ_TARGET(input) {
  fuzz::accepted([&] {
    std::vector<ByteView> all = split(input);
    if (all.empty()) return;
    fuzz::accepted([&] { static_cast<void>(attest::read_crl(all[0])); });
    fuzz::accepted([&] { static_cast<void>(attest::parse_certificate(all[0])); });
    attest::TrustAnchors anchors;
    anchors.roots.push_back(copy(all[0]));
    Sha256Digest allowed{};
    std::copy(trusted_root().begin(), trusted_root().end(), allowed.begin());
    anchors.allowed.push_back(allowed);
    all.erase(all.begin());
    const attest::PathResult result = attest::verify_path(all, anchors, {.identity = kUeid}, kNow);
    if (result.findings.empty())
      fuzz::require(result.root == allowed && sha256(anchors.roots[0]) == allowed, "a path to another root");
    if (all.empty()) return;
    anchors.crls.push_back(copy(all.back()));
    all.pop_back();
    if (attest::verify_path(all, anchors, {.identity = kUeid}, kNow).findings.empty())
      fuzz::require(fuzz::accepted([&] { static_cast<void>(attest::read_crl(anchors.crls[0])); }),
                    "a list that cannot be used was passed over in silence");
  });
}
