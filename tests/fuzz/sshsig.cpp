// SPDX-License-Identifier: Apache-2.0
#include "appliance/approval/sshsig.h"

#include "tests/fuzz/fuzz.h"

using namespace qpcseal;

QPCSEAL_FUZZ_TARGET(input) {
  fuzz::accepted([&] {
    const approval::SshSignature signature = approval::parse_sshsig(text_view(input));
    static_cast<void>(approval::verify_sshsig(signature, signature.sig_namespace, view("a message")));
    fuzz::require(!approval::verify_sshsig(signature, signature.sig_namespace + "x", view("a message")),
                  "verified in another namespace");
  });
}
