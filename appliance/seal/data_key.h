// SPDX-License-Identifier: Apache-2.0
// Mode 2: a data key in locked memory, AES-128-GCM on the host.
#pragma once

#include "appliance/seal/key_handle.h"
#include "base/random.h"
#include "base/secret.h"

namespace qpcseal::seal {

// A fresh 16-byte key.
SecretBuffer make_data_key(Random& random);
std::unique_ptr<GcmWorker> open_data_key(const SecretBuffer& key, Random& random);

}  // namespace qpcseal::seal
