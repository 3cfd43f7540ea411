// SPDX-License-Identifier: Apache-2.0
#include "confine/pinned.h"

#include "base/digest.h"
#include "base/error.h"

namespace qpcseal::confine {

GivenFile load_directly(const Pin& pin, bool executable) {
  const Bytes bytes = read_file(pin.path, kMaxPinned);
  const std::string found = sha256_hex(bytes);
  if (found != pin.sha256)
    throw Error(
        ErrorKind::Denied,
        pin.path + " is another file than the site's facts name: SHA-256 " + found + ", not " + pin.sha256,
        "after an upgrade, officers name the new one: 'qpcseal site change --program'");
  return {pin.path, std::make_shared<const Fd>(memory_file(bytes)), executable};
}

}  // namespace qpcseal::confine
