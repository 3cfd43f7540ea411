// SPDX-License-Identifier: Apache-2.0
#include "device/loader/part.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/piece_digest.h"

namespace qpcseal::device {

namespace {

constexpr std::size_t kSealHead = 64, kDataKey = 44, kRange = 16, kEntry = 28;  // bytes
constexpr std::uint64_t kClearChunk = std::uint64_t{1} << 20U;                  // bytes read at once
constexpr std::uint64_t kBatch = 1024;  // chunks whose digests are in memory together

[[noreturn]] void refuse_part(const std::string& why) {
  throw Error(ErrorKind::Denied, "container refused: " + why);
}

// Runs job(first) .. job(end - 1) on all cores, each thread with a job of its own; the first failure is
// thrown.
using Job = std::function<void(std::uint64_t)>;
void on_all_cores(std::uint64_t first, std::uint64_t end, const std::function<Job()>& make_job) {
  std::atomic<std::uint64_t> next{first};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      const Job job = make_job();
      for (std::uint64_t i = next++; i < end; i = next++) job(i);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
      next = end;
    }
  };
  {
    std::vector<std::jthread> threads;
    const std::uint64_t wanted = std::clamp<std::uint64_t>(std::thread::hardware_concurrency(), 1,
                                                           std::max<std::uint64_t>(end - first, 1));
    for (std::uint64_t i = 0; i < wanted; ++i) threads.emplace_back(work);
  }
  if (failure) std::rethrow_exception(failure);
}

// The sealed stretches of the bytes from `first` to `end`.
std::vector<Gap> sealed_between(const std::vector<Gap>& gaps, std::uint64_t first, std::uint64_t end) {
  std::vector<Gap> out;
  for (const Gap& gap : gaps) {
    const std::uint64_t begin = std::clamp(gap.first, first, end),
                        stop = std::clamp(gap.first + gap.length, first, end);
    if (begin == stop) continue;
    if (begin > first) out.push_back({first, begin - first});
    first = stop;
  }
  if (end > first) out.push_back({first, end - first});
  return out;
}

}  // namespace

struct PartitionLoader::Worker {
  explicit Worker(std::uint64_t chunk) : stored(chunk) {}
  Bytes stored;
  PieceDigester digester;
};

// What the header says must be what the manifest says; `rest` is seal.aead from this part on.
PartitionLoader::Front PartitionLoader::read_front(const ManifestEntry& segment, ByteView rest) const {
  const std::string what = "the part of '" + segment.name + "' in seal.aead";
  if (rest.size() < kSealHead) refuse_part(what + " is cut short");
  Front front;
  front.header = rest.first(kSealHead);
  const ByteView h = front.header;
  const unsigned log2 = h[10];
  front.mode = h[9];
  const bool zeros = load_be(h.subspan(11, 5)) == 0 && load_be(h.subspan(60, 4)) == 0;
  if (text_view(h.first(8)) != std::string_view("QPCSEAL\0", 8) || h[8] != 2 ||
      (front.mode != 1 && front.mode != 2) || log2 < 16 || log2 > 20 || !zeros ||
      load_le(h.subspan(16, 8)) != segment.size || !equal(h.subspan(24, 16), sealed_.mek_id) ||
      !equal(h.subspan(40, 16), sealed_.seal_id) || load_le(h.subspan(56, 4)) != segment.gaps.size())
    refuse_part(what + " has a header that is not its own");
  front.chunk = std::uint64_t{1} << log2;
  const std::size_t ranges = kSealHead + (front.mode == 2 ? kDataKey : 0);
  front.entries = ranges + segment.gaps.size() * kRange;
  Bytes listed;
  for (const Gap& gap : segment.gaps) {
    append_le(listed, gap.first, 8);
    append_le(listed, gap.length, 8);
  }
  if (rest.size() < front.entries || !equal(rest.subspan(ranges, listed.size()), listed))
    refuse_part(what + " has other clear ranges than the manifest");
  front.count = (segment.size + front.chunk - 1) / front.chunk;
  read_chunks(front, segment);
  const std::uint64_t size = front.entries + (front.entry[front.last] + 1) * kEntry;
  if (rest.size() < size) refuse_part(what + " is cut short");
  front.bytes = rest.first(size);
  return front;
}

// Which chunks have sealed bytes, and so an entry.
void PartitionLoader::read_chunks(Front& front, const ManifestEntry& segment) const {
  std::uint64_t entries = 0;
  for (std::uint64_t i = 0; i < front.count; ++i) {
    front.entry.push_back(entries);
    const std::uint64_t begin = i * front.chunk, end = std::min(begin + front.chunk, segment.size);
    if (sealed_between(segment.gaps, begin, end).empty()) continue;
    front.last = i;
    ++entries;
  }
}

SecretBuffer PartitionLoader::key_for(const ManifestEntry& segment, const Front& front) const {
  SecretBuffer key(16);
  if (front.mode == 1) {
    std::copy(mek_.bytes().begin(), mek_.bytes().end(), key.bytes().begin());
    return key;
  }
  Bytes aad = copy(front.header);
  append(aad, segment.name);
  if (!open_gcm(mek_.bytes(), aad, front.bytes.subspan(kSealHead, kDataKey), key.bytes()))
    refuse_part("the data key of '" + segment.name + "' does not open");
  return key;
}

void PartitionLoader::check_origin(const Card& card) const {
  if (card.seal_key) {
    Bytes message = copy(view("qpcseal/seal/1"));
    message.push_back(0);
    append(message, sha256(sealed_.manifest));
    if (!verify_seal(card.seal_key.get(), message, sealed_.signature))
      refuse_part("seal.sig is not this appliance's signature");
  }
  if (sealed_.model_version < card.minimum_model_version)
    refuse_part("the model is older than this card accepts");
}

SecretBuffer PartitionLoader::unwrap(const Card& card) const {
  if (!sealed_.wrapped) refuse_part("it is not bound to a card");
  return unwrap_mek(card, *sealed_.wrapped, sealed_.mek_id);
}

void PartitionLoader::open(ByteView mek) {
  mek_ = SecretBuffer(mek.size());
  std::copy(mek.begin(), mek.end(), mek_.bytes().begin());
  const Sha256Digest digest = sha256(sealed_.manifest);
  Bytes tagged(digest.size());
  if (!open_gcm(mek, view("qpcseal/manifest/2"), sealed_.tag, tagged) || !equal(tagged, digest))
    refuse_part("seal.tag does not fit the manifest");
  fronts_.clear();
  ByteView rest = sealed_.aead;
  for (const ManifestEntry& segment : sealed_.segments) {
    fronts_.push_back(segment.kind == Kind::SealedContainer ? read_front(segment, rest) : Front{});
    rest = rest.subspan(fronts_.back().bytes.size());
  }
  if (!rest.empty()) refuse_part("seal.aead has more than the parts of its segments");
}

std::vector<qpc::Segment> PartitionLoader::plain_rows(
    const std::map<std::string, std::uint64_t>& partitions) const {
  std::vector<qpc::Segment> rows;
  for (const ManifestEntry& s : sealed_.segments)
    rows.push_back({s.name, s.kind == Kind::Inner ? partitions.at(s.name) : s.size, s.offset, 0});
  qpc::place_unaligned(rows);
  return rows;
}

void PartitionLoader::run(const Fd* out, std::uint64_t begin, const std::vector<qpc::Segment>& rows) const {
  for (std::size_t i = 0; i < sealed_.segments.size(); ++i)
    if (sealed_.segments[i].kind != Kind::Inner) read_segment(i, out, begin + rows[i].data_position);
}

void PartitionLoader::read_segment(std::size_t index, const Fd* out, std::uint64_t place) const {
  const ManifestEntry& segment = sealed_.segments[index];
  const Front& front = fronts_[index];
  const bool sealed = segment.kind == Kind::SealedContainer;
  const SecretBuffer key = sealed ? key_for(segment, front) : SecretBuffer{};
  const std::uint64_t chunk = sealed ? front.chunk : kClearChunk, count = (segment.size + chunk - 1) / chunk;
  Sha256 hash;
  Bytes head = copy(view(std::string_view("qpcseal/segment/2\0", 18)));
  append_be(head, segment.size, 8);
  hash.update(head);
  for (std::uint64_t first = 0; first < count; first += kBatch) {
    const std::uint64_t end = std::min(first + kBatch, count);
    std::vector<std::vector<Sha256Digest>> pieces(end - first);
    on_all_cores(first, end, [&]() -> Job {
      return [&, worker = std::make_shared<Worker>(chunk)](std::uint64_t i) {
        const MutableBytes stored =
            MutableBytes(worker->stored).first(std::min(chunk, segment.size - i * chunk));
        read_exact(file_, stored, segment.position + i * chunk);
        pieces[i - first] = worker->digester.digests(stored);
        if (sealed) open_chunk(segment, front, i, key.bytes(), stored);
        if (out != nullptr) write_exact(*out, stored, place + i * chunk);
      };
    });
    for (const auto& of_chunk : pieces)
      for (const Sha256Digest& piece : of_chunk) hash.update(piece);
  }
  hash.update(front.bytes);
  if (hash.finish() != segment.digest)
    refuse_part("segment '" + segment.name + "' is not the one that was sealed");
}

// `stored`, chunk `i`, becomes plain.
void PartitionLoader::open_chunk(const ManifestEntry& segment, const Front& front, std::uint64_t i,
                                 ByteView key, MutableBytes stored) const {
  const std::uint64_t begin = i * front.chunk;
  const std::vector<Gap> stretches = sealed_between(segment.gaps, begin, begin + stored.size());
  if (stretches.empty()) return;
  Bytes aad = copy(front.header);
  append_lp16(aad, view(segment.name));
  append_be(aad, i, 8);
  aad.push_back(i == front.last ? 1 : 0);
  const ByteView entry = front.bytes.subspan(front.entries + front.entry[i] * kEntry, kEntry);
  const bool whole = stretches.size() == 1 && stretches[0].length == stored.size();
  Bytes message;
  for (const Gap& stretch : stretches)
    if (!whole) append(message, stored.subspan(stretch.first - begin, stretch.length));
  if (!open_in_place(key, aad, entry, whole ? stored : MutableBytes(message)))
    refuse_part("chunk " + std::to_string(i) + " of '" + segment.name + "' does not open");
  ByteView plain = message;
  for (const Gap& stretch : stretches) {
    if (whole) break;
    std::ranges::copy(plain.first(stretch.length), stored.subspan(stretch.first - begin).begin());
    plain = plain.subspan(stretch.length);
  }
}

}  // namespace qpcseal::device
