// SPDX-License-Identifier: Apache-2.0
// The one type for secret bytes: locked in memory, left out of core dumps and of child processes, zeroed,
// neither copyable nor printable.
#pragma once

#include "base/bytes.h"

namespace qpcseal {

class SecretBuffer {
 public:
  SecretBuffer() = default;
  // `size` bytes of zeros in pages of their own. Throws Error{Io} where memory cannot be locked.
  explicit SecretBuffer(std::size_t size);
  SecretBuffer(SecretBuffer&& other) noexcept;
  SecretBuffer& operator=(SecretBuffer&& other) noexcept;
  SecretBuffer(const SecretBuffer&) = delete;
  SecretBuffer& operator=(const SecretBuffer&) = delete;
  ~SecretBuffer();

  [[nodiscard]] MutableBytes bytes() { return {data_, size_}; }
  [[nodiscard]] ByteView bytes() const { return {data_, size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  // Zeroes what lies beyond and shows only the first `size` bytes from now on.
  void truncate(std::size_t size);

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t mapped_ = 0;
  void release() noexcept;
};

}  // namespace qpcseal
