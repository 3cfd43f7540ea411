// SPDX-License-Identifier: Apache-2.0
#include "appliance/approval/sshsig.h"

#include "tests/fuzz/fuzz.h"

using namespace qpcseal;

QPCSEAL_FUZZ_TARGET(input) {
  fuzz::accepted([&] {
    const approval::SshSignature signature = approval::parse_sshsig(text_of(input));
    static_cast<void>(approval::verify_sshsig(signature, signature.name_space, view("a message")));
    fuzz::require(!approval::verify_sshsig(signature, signature.name_space + "x", view("a message")),
                  "verified in another namespace");
  });
}
