// SPDX-License-Identifier: Apache-2.0
// A small ELF file for samples, with what a host's runtime looks for: code, section `metadata_fb`, names.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace qpcseal::device {

// Around `code_size` bytes of code: `head` before them, `tail` behind. 64 bits, little endian.
struct SampleElf {
  Bytes head, tail;
  [[nodiscard]] std::uint64_t size(std::uint64_t code_size) const {
    return head.size() + code_size + tail.size();
  }
};
SampleElf sample_elf(std::uint64_t code_size);

}  // namespace qpcseal::device
