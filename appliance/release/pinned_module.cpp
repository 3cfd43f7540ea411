#include "appliance/release/pinned_module.h"

#include <algorithm>

#include "base/error.h"

namespace qpcseal::release {

Sha256Digest pinned_digest(const Site& site) {
  const Bytes bytes = with_context("site.toml: module_sha256", [&] { return from_hex(site.module_sha256); });
  Sha256Digest digest{};
  if (bytes.size() != digest.size())
    throw Error(ErrorKind::Malformed, "site.toml: module_sha256 is not a SHA-256");
  std::copy(bytes.begin(), bytes.end(), digest.begin());
  return digest;
}

}  // namespace qpcseal::release
