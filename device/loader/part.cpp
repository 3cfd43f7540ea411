// SPDX-License-Identifier: Apache-2.0
#include "device/loader/part.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "base/error.h"

namespace qpcseal::device {

namespace {

constexpr std::size_t kSealHead = 64, kDataKey = 44, kOverhead = 28;  // bytes
constexpr std::size_t kReadPiece = std::size_t{1} << 20;

[[noreturn]] void refuse_part(const std::string& why) {
  throw Error(ErrorKind::Denied, "container refused: " + why);
}

// Runs job(0) .. job(count - 1) on all cores; the first failure is thrown.
void on_all_cores(std::uint64_t count, const std::function<void(std::uint64_t)>& job) {
  std::atomic<std::uint64_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      for (std::uint64_t i = next++; i < count; i = next++) job(i);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
      next = count;
    }
  };
  {
    std::vector<std::jthread> threads;
    const std::uint64_t wanted =
        std::clamp<std::uint64_t>(std::thread::hardware_concurrency(), 1, std::max<std::uint64_t>(count, 1));
    for (std::uint64_t i = 0; i < wanted; ++i) threads.emplace_back(work);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

PartitionLoader::Header PartitionLoader::read_header(const ManifestEntry& segment) const {
  if (segment.size <= kSealHead) refuse_part("segment '" + segment.name + "' is too short to be sealed");
  Header h;
  h.block.resize(kSealHead);
  read_exact(file_, h.block, segment.position);
  const ByteView b = h.block;
  const unsigned log2 = b[10];
  h.mode = b[9];
  h.plain = load_le(b.subspan(16, 8));
  const bool zeros = load_le(b.subspan(56, 8)) == 0 && load_be(b.subspan(11, 5)) == 0;
  if (text_view(b.first(8)) != std::string_view("QPCSEAL\0", 8) || b[8] != 1 ||
      (h.mode != 1 && h.mode != 2) || log2 < 16 || log2 > 24 || !zeros || h.plain == 0 ||
      h.plain > segment.size || !equal(b.subspan(24, 16), sealed_.mek_id) ||
      !equal(b.subspan(40, 16), sealed_.seal_id)) {
    refuse_part("segment '" + segment.name + "' has a header that is not its own");
  }
  h.chunk = std::uint64_t{1} << log2;
  h.count = (h.plain + h.chunk - 1) / h.chunk;
  h.begin = kSealHead + (h.mode == 2 ? kDataKey : 0);
  if (segment.size != h.begin + h.plain + h.count * kOverhead)
    refuse_part("segment '" + segment.name + "' has another size than its header says");
  return h;
}

SecretBuffer PartitionLoader::key_for(const ManifestEntry& segment, const Header& header) const {
  SecretBuffer key(16);
  if (header.mode == 1) {
    std::copy(mek_.bytes().begin(), mek_.bytes().end(), key.bytes().begin());
    return key;
  }
  Bytes wrapped(kDataKey), aad = header.block;
  read_exact(file_, wrapped, segment.position + kSealHead);
  append(aad, segment.name);
  if (!open_gcm(mek_.bytes(), aad, wrapped, key.bytes()))
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
  if (!open_gcm(mek, view("qpcseal/manifest/1"), sealed_.tag, tagged) || !equal(tagged, digest))
    refuse_part("seal.tag does not fit the manifest");
  headers_.clear();
  for (const ManifestEntry& segment : sealed_.segments)
    headers_.push_back(segment.kind == Kind::SealedContainer ? read_header(segment) : Header{});
}

std::vector<qpc::Segment> PartitionLoader::plain_rows(
    const std::map<std::string, std::uint64_t>& partitions) const {
  std::vector<qpc::Segment> rows;
  for (std::size_t i = 0; i < sealed_.segments.size(); ++i) {
    const ManifestEntry& s = sealed_.segments[i];
    std::uint64_t size = s.kind == Kind::SealedContainer ? headers_[i].plain : s.size;
    if (s.kind == Kind::Inner) size = partitions.at(s.name);
    rows.push_back({s.name, size, s.offset, 0});
  }
  qpc::place_unaligned(rows);
  return rows;
}

void PartitionLoader::run(const Fd* out, std::uint64_t begin, const std::vector<qpc::Segment>& rows) const {
  for (std::size_t i = 0; i < sealed_.segments.size(); ++i) {
    const ManifestEntry& segment = sealed_.segments[i];
    if (segment.kind == Kind::SealedContainer) open_sealed(i, out, begin + rows[i].data_position);
    if (segment.kind == Kind::Clear) copy_clear(segment, out, begin + rows[i].data_position);
  }
}

void PartitionLoader::open_sealed(std::size_t index, const Fd* out, std::uint64_t place) const {
  const ManifestEntry& segment = sealed_.segments[index];
  const Header& header = headers_[index];
  const SecretBuffer key = key_for(segment, header);
  std::vector<Sha256Digest> digests(header.count);
  on_all_cores(header.count, [&](std::uint64_t i) {
    Bytes stored(std::min(header.chunk, header.plain - i * header.chunk) + kOverhead),
        plain(stored.size() - kOverhead);
    read_exact(file_, stored, segment.position + header.begin + i * (header.chunk + kOverhead));
    digests[i] = sha256(stored);
    Bytes aad = header.block;
    append_lp16(aad, view(segment.name));
    append_be(aad, i, 8);
    aad.push_back(i + 1 == header.count ? 1 : 0);
    if (!open_gcm(key.bytes(), aad, stored, plain))
      refuse_part("chunk " + std::to_string(i) + " of '" + segment.name + "' does not open");
    if (out != nullptr) write_exact(*out, plain, place + i * header.chunk);
  });
  Bytes block(header.begin);
  read_exact(file_, block, segment.position);
  Sha256 hash;
  hash.update(block);
  for (const Sha256Digest& digest : digests) hash.update(digest);
  if (hash.finish() != segment.digest)
    refuse_part("segment '" + segment.name + "' is not the one that was sealed");
}

void PartitionLoader::copy_clear(const ManifestEntry& segment, const Fd* out, std::uint64_t place) const {
  Sha256 hash;
  Bytes buffer(kReadPiece);
  for (std::uint64_t at = 0; at < segment.size; at += buffer.size()) {
    buffer.resize(std::min<std::uint64_t>(kReadPiece, segment.size - at));
    read_exact(file_, buffer, segment.position + at);
    hash.update(buffer);
    if (out != nullptr) write_exact(*out, buffer, place + at);
  }
  if (hash.finish() != segment.digest)
    refuse_part("segment '" + segment.name + "' is not the one that was sealed");
}

}  // namespace qpcseal::device
