// SPDX-License-Identifier: Apache-2.0
#include "base/piece_digest.h"

#include <algorithm>
#include <ctime>
#include <functional>
#include <span>

#ifdef QPCSEAL_HAVE_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

namespace qpcseal {

namespace {

ByteView piece_at(ByteView bytes, std::size_t index) {
  const std::size_t at = index * kPieceSize;
  return bytes.subspan(at, std::min(kPieceSize, bytes.size() - at));
}

// Wide vector instructions lower the clock of all cores: a small gain of one thread is none.
constexpr double kWorthIt = 0.9;

// Of this thread, in seconds.
double processor_time(const std::function<void()>& work) {
  const auto now = [] {
    timespec out{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &out);
    return static_cast<double>(out.tv_sec) + (static_cast<double>(out.tv_nsec) / 1e9);
  };
  const double begin = now();
  work();
  return now() - begin;
}

}  // namespace

#ifdef QPCSEAL_HAVE_IPSEC_MB

// The library's manager: a queue of jobs that share the processor's vector lanes.
struct PieceDigester::Lanes {
  IMB_MGR* manager = nullptr;

  // False where a job failed.
  [[nodiscard]] bool run(ByteView bytes, std::span<Sha256Digest> out) const {
    std::size_t done = 0;
    const auto count = [&](const IMB_JOB* job) {
      if (job != nullptr && job->status == IMB_STATUS_COMPLETED) ++done;
    };
    for (std::size_t i = 0; i < out.size(); ++i) {
      const ByteView piece = piece_at(bytes, i);
      IMB_JOB* job = IMB_GET_NEXT_JOB(manager);
      *job = {};
      job->cipher_mode = IMB_CIPHER_NULL;
      job->cipher_direction = IMB_DIR_ENCRYPT;
      job->chain_order = IMB_ORDER_HASH_CIPHER;
      job->hash_alg = IMB_AUTH_SHA_256;
      job->src = piece.data();
      job->msg_len_to_hash_in_bytes = piece.size();
      job->auth_tag_output = out[i].data();
      job->auth_tag_output_len_in_bytes = out[i].size();
      for (const IMB_JOB* back = IMB_SUBMIT_JOB(manager); back != nullptr;
           back = IMB_GET_COMPLETED_JOB(manager))
        count(back);
    }
    for (const IMB_JOB* back = IMB_FLUSH_JOB(manager); back != nullptr; back = IMB_FLUSH_JOB(manager))
      count(back);
    return done == out.size();
  }

  // Whether it agrees with OpenSSL, with lanes that end at different times.
  [[nodiscard]] bool serves() const {
    Bytes text((17 * kPieceSize) + 55);
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<std::uint8_t>((i * 7) + (i >> 8U));
    std::vector<Sha256Digest> out(18);
    if (!run(text, out)) return false;
    for (std::size_t i = 0; i < out.size(); ++i)
      if (out[i] != sha256(piece_at(text, i))) return false;
    return true;
  }
};

void PieceDigester::FreeLanes::operator()(Lanes* lanes) const noexcept {
  if (lanes->manager != nullptr) free_mb_mgr(lanes->manager);
  delete lanes;
}

std::unique_ptr<PieceDigester::Lanes, PieceDigester::FreeLanes> PieceDigester::open_lanes() {
  std::unique_ptr<Lanes, FreeLanes> lanes(new Lanes);
  // OpenSSL has the SHA instructions, and one stream of them leaves no room for a second.
  lanes->manager = alloc_mb_mgr(IMB_FLAG_SHANI_OFF);
  IMB_ARCH found = IMB_ARCH_NONE;
  if (lanes->manager != nullptr) init_mb_mgr_auto(lanes->manager, &found);
  if (found < IMB_ARCH_SSE) lanes.reset();
  return lanes;
}

bool PieceDigester::lanes_serve() {
  static const bool kServe = [] {
    const auto lanes = open_lanes();
    return lanes != nullptr && lanes->serves();
  }();
  return kServe;
}

#else

struct PieceDigester::Lanes {
  [[nodiscard]] static bool run(ByteView, std::span<Sha256Digest>) { return false; }
};
void PieceDigester::FreeLanes::operator()(Lanes* lanes) const noexcept { delete lanes; }
std::unique_ptr<PieceDigester::Lanes, PieceDigester::FreeLanes> PieceDigester::open_lanes() {
  return nullptr;
}
bool PieceDigester::lanes_serve() { return false; }

#endif

PieceDigester::~PieceDigester() = default;
PieceDigester::PieceDigester(PieceDigester&&) noexcept = default;
PieceDigester& PieceDigester::operator=(PieceDigester&&) noexcept = default;

// By processor time, because others may have the processor meanwhile.
bool PieceDigester::lanes_are_faster() {
  static const bool kFaster = [] {
    if (!lanes_serve()) return false;
    const Bytes text(16 * kPieceSize);
    const auto best = [&](PieceEngine engine) {
      PieceDigester digester(engine);
      double out = processor_time([&] { digester.digests(text); });
      for (int i = 0; i < 2; ++i) out = std::min(out, processor_time([&] { digester.digests(text); }));
      return out;
    };
    return best(PieceEngine::SideBySide) < kWorthIt * best(PieceEngine::OneByOne);
  }();
  return kFaster;
}

bool PieceDigester::side_by_side() {
  if (!tried_ && engine_ != PieceEngine::OneByOne &&
      (engine_ == PieceEngine::SideBySide ? lanes_serve() : lanes_are_faster()))
    lanes_ = open_lanes();
  tried_ = true;
  return lanes_ != nullptr;
}

std::vector<Sha256Digest> PieceDigester::digests(ByteView bytes) {
  std::vector<Sha256Digest> out((bytes.size() + kPieceSize - 1) / kPieceSize);
  if (out.size() > 1 && side_by_side() && lanes_->run(bytes, out)) return out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = sha256(piece_at(bytes, i));
  return out;
}

}  // namespace qpcseal
