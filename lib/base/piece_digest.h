// SPDX-License-Identifier: Apache-2.0
// SHA-256 of many pieces of a text: side by side in the processor's vector lanes, by libipsec-mb, or one
// after the other by OpenSSL, which uses the processor's SHA instructions. Which of them is quicker depends
// on the processor and is measured.
#pragma once

#include <memory>
#include <vector>

#include "base/digest.h"

namespace qpcseal {

inline constexpr std::size_t kPieceSize = std::size_t{32} << 10U;  // bytes

// What hashes the pieces.
enum class PieceEngine {
  Fastest,     // the quicker one; tried once a process, for some milliseconds
  SideBySide,  // libipsec-mb where the build found it and its results on this processor are OpenSSL's
  OneByOne,    // OpenSSL
};

// Of one thread.
class PieceDigester {
 public:
  explicit PieceDigester(PieceEngine engine = PieceEngine::Fastest) : engine_(engine) {}
  ~PieceDigester();
  PieceDigester(PieceDigester&&) noexcept;
  PieceDigester& operator=(PieceDigester&&) noexcept;
  PieceDigester(const PieceDigester&) = delete;
  PieceDigester& operator=(const PieceDigester&) = delete;

  // One digest for each kPieceSize bytes; the last piece may be shorter; none for no bytes.
  std::vector<Sha256Digest> digests(ByteView bytes);
  // Whether libipsec-mb does it where there is more than one piece.
  [[nodiscard]] bool side_by_side();

 private:
  struct Lanes;
  struct FreeLanes {
    void operator()(Lanes* lanes) const noexcept;
  };
  static std::unique_ptr<Lanes, FreeLanes> open_lanes();  // null: this processor has none
  [[nodiscard]] static bool lanes_serve();
  [[nodiscard]] static bool lanes_are_faster();
  PieceEngine engine_;
  bool tried_ = false;  // the library costs memory and time before its first use
  std::unique_ptr<Lanes, FreeLanes> lanes_;
};

}  // namespace qpcseal
