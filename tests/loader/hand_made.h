// SPDX-License-Identifier: Apache-2.0
// Containers of FORMAT.md section 2 that are written by hand: nothing in them is sealed, signed or bound, so
// that what a card reads before it knows a key can be wrong in any one place.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "device/loader/loaded_container.h"
#include "encoding/cbor.h"
#include "tests/loader/bench.h"

namespace qpcseal::testing {

inline constexpr std::size_t kHandSlot = 1024, kHandPage = 4096;  // bytes

struct HandRow {
  std::string name;
  Bytes data;
  unsigned kind = 1;
  std::vector<device::Gap> clear = {};
  Bytes digest = Bytes(32, 9);
};

struct HandSealed {
  std::vector<HandRow> rows;
  Bytes seal_id = Bytes(16, 1), mek_id = Bytes(16, 2), root = seal_id;
  std::uint64_t index = 0, count = 1;
  std::string type = "qpcseal/manifest/2";
  std::uint64_t last_key = 10;
  std::size_t members = 6, numbers = 2;  // of each segment; of each clear range

  [[nodiscard]] Bytes manifest() const {
    cbor::Writer out;
    out.map(10).unsigned_(1).text(type).unsigned_(2).bytes(seal_id).unsigned_(3).bytes(mek_id);
    out.unsigned_(4).unsigned_(1800000000).unsigned_(5).text("model").unsigned_(6).unsigned_(7);
    out.unsigned_(7).bytes(root).unsigned_(8).unsigned_(index).unsigned_(9).unsigned_(count);
    out.unsigned_(last_key).array(rows.size());
    for (const HandRow& row : rows) {
      out.array(members).text(row.name).unsigned_(row.data.size()).unsigned_(0).unsigned_(row.kind);
      out.bytes(row.digest).array(row.clear.size());
      for (const device::Gap& gap : row.clear) {
        out.array(numbers).unsigned_(gap.first).unsigned_(gap.length);
        for (std::size_t i = 2; i < numbers; ++i) out.unsigned_(0);
      }
      for (std::size_t i = 6; i < members; ++i) out.null();
    }
    return out.take();
  }
  [[nodiscard]] Parts parts() const {
    Parts out;
    for (const HandRow& row : rows) out.segments.push_back({row.name, row.data, 0});
    out.segments.push_back({"seal.aead", Bytes(92, 3), 0});
    out.segments.push_back({"seal.manifest", manifest(), 0});
    out.segments.push_back({"seal.tag", Bytes(60, 4), 0});
    out.segments.push_back({"seal.sig", Bytes(64, 5), 0});
    for (const char* slot : {"MEK.encrypt", "MEK.nonce", "MEK.pub"})
      out.segments.push_back({slot, Bytes(kHandSlot), 0});
    return out;
  }
};

inline HandSealed two_segments() {
  return {{{"a.bin", pattern(100, 1), 1, {{10, 20}}}, {"b.bin", pattern(50, 2), 0}}};
}

// A slot that holds `size` bytes.
inline Bytes slot_of(std::size_t size) {
  Bytes out;
  append_be(out, size, 2);
  append(out, Bytes(size, 0xee));
  out.resize(kHandSlot);
  return out;
}

class HandMade : public ::testing::Test {
 protected:
  TemporaryFolder folder;

  Fd file_of(const Bytes& bytes) const {
    write_file(folder.path() / "model.qpc", bytes, Existing::Replace);
    return open_to_read(folder.path() / "model.qpc");
  }
  device::SealedContainer read(const Bytes& bytes) const {
    const Fd file = file_of(bytes);
    return device::read_sealed(file, 0, bytes.size());
  }
  device::SealedContainer read(const Parts& parts) const { return read(put_together(parts)); }
  device::SealedContainer read(const HandSealed& sealed) const { return read(sealed.parts()); }
  device::SealedContainer read_with(const std::function<void(Parts&)>& edit) const {
    Parts parts = two_segments().parts();
    edit(parts);
    return read(parts);
  }
  device::SealedModel model(const HandSealed& root) const {
    return device::read_model(file_of(put_together(root.parts())));
  }
};

}  // namespace qpcseal::testing
