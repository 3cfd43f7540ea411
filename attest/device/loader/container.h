// A sealed container as the card reads it: the one layout that FORMAT.md section 2 allows, byte for byte.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "appliance/qpc/container.h"
#include "attest/device/loader/crypto.h"
#include "base/digest.h"
#include "base/file.h"

namespace qpcseal::device {

enum class Kind : unsigned { Clear = 0, Sealed = 1, Inner = 2 };

struct Listed {
  std::string name;
  std::uint64_t size = 0, offset = 0, position = 0;
  Kind kind = Kind::Clear;
  Sha256Digest digest{};
};

struct Sealed {
  std::vector<Listed> segments;  // the input's, in order
  Bytes mek_id, seal_id;
  std::string model_name;
  std::uint64_t model_version = 0;
  Bytes manifest, tag, signature;
  std::optional<Wrapped> wrapped;  // nothing: unbound
};

// Error{Malformed} for what is no sealed QPC; Error{Denied} for one whose layout, slots or manifest are not
// as they must be.
Sealed read_sealed(const Fd& file);

}  // namespace qpcseal::device
