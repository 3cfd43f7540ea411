// SPDX-License-Identifier: Apache-2.0
// Keys on the host, for tests of sealing without a token; and the reader's side of AES-GCM.
#pragma once

#include <atomic>
#include <optional>

#include "appliance/seal/data_key.h"
#include "appliance/seal/key_handle.h"
#include "appliance/seal/sealer.h"
#include "qpc/container.h"

namespace qpcseal::testing {

class HostKey final : public seal::KeyHandle {
 public:
  HostKey() : value_(16) { random_.fill(value_.bytes()); }
  [[nodiscard]] ByteView id() const override { return id_; }
  [[nodiscard]] std::unique_ptr<seal::GcmWorker> open_worker() override;
  [[nodiscard]] ByteView value() const { return value_.bytes(); }
  std::atomic<unsigned> calls{0};
  unsigned fail_at = 0;  // the call of this number throws Error{Token}; 0: none

 private:
  SystemRandom random_;
  SecretBuffer value_;
  Bytes id_ = Bytes(16, 0x77);
};

class FixedSigner final : public seal::SealSigner {
 public:
  Bytes sign(ByteView message) override {
    signed_message = copy(message);
    return Bytes(64, 0x51);
  }
  Bytes signed_message;
};

// Plain text of iv | ciphertext | tag; nothing where the tag does not verify.
std::optional<Bytes> decrypt(ByteView key, ByteView aad, ByteView stored);

// A temporary file that has no name.
Fd scratch_file();
Bytes contents(const Fd& file);

// A plain QPC with these segments, in the flavour without alignment.
struct TestSegment {
  std::string name;
  Bytes data;
  std::uint64_t offset = 0;
};
Fd make_qpc(const std::vector<TestSegment>& segments);

}  // namespace qpcseal::testing
