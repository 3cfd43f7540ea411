// SPDX-License-Identifier: Apache-2.0
// What sealing needs of keys that it never sees. Implemented over a PKCS #11 token elsewhere.
#pragma once

#include <memory>

#include "base/bytes.h"

namespace qpcseal::seal {

// AES-128-GCM for one thread.
class GcmWorker {
 public:
  GcmWorker() = default;
  GcmWorker(const GcmWorker&) = delete;
  GcmWorker& operator=(const GcmWorker&) = delete;
  virtual ~GcmWorker() = default;
  // `stored` = IV (12 bytes, fresh) || ciphertext || tag (16 bytes), 28 bytes more than `plain`. No copy of
  // `plain` stays behind. Error{Internal} on other sizes.
  virtual void encrypt(ByteView aad, ByteView plain, MutableBytes stored) = 0;
};

class KeyHandle {
 public:
  KeyHandle() = default;
  KeyHandle(const KeyHandle&) = delete;
  KeyHandle& operator=(const KeyHandle&) = delete;
  virtual ~KeyHandle() = default;
  [[nodiscard]] virtual ByteView id() const = 0;  // 16 bytes
  // May be called from any thread; the worker then belongs to that thread.
  [[nodiscard]] virtual std::unique_ptr<GcmWorker> open_worker() = 0;
};

class SealSigner {
 public:
  SealSigner() = default;
  SealSigner(const SealSigner&) = delete;
  SealSigner& operator=(const SealSigner&) = delete;
  virtual ~SealSigner() = default;
  // 64 bytes: Ed25519 (RFC 8032), or ECDSA P-256 with SHA-256 as r || s.
  virtual Bytes sign(ByteView message) = 0;
};

}  // namespace qpcseal::seal
