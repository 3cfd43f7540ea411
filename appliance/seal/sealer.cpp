// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/sealer.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>

#include "appliance/seal/data_key.h"
#include "appliance/seal/layout.h"
#include "appliance/seal/segment_plan.h"
#include "base/bulk_file.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/piece_digest.h"

namespace qpcseal::seal {

namespace {

// What one thread has for itself.
struct Tools {
  explicit Tools(std::uint64_t chunk) : plain(chunk + (2 * kPage)), stored(chunk + (2 * kPage)) {}
  // Of a chunk that is encrypted, IV and tag lie before and behind its pages.
  [[nodiscard]] MutableBytes message(std::uint64_t size) {
    return stored.bytes().subspan(kPage - kIvSize, kIvSize + size + kTagSize);
  }
  [[nodiscard]] MutableBytes chunk(std::uint64_t size) { return stored.bytes().subspan(kPage, size); }

  std::unique_ptr<GcmWorker> token;
  std::map<const Part*, std::unique_ptr<GcmWorker>> data_keys;
  PageBuffer plain, stored;
  PieceDigester digester;
};

// Its size first: bytes that come out of order then change nothing but themselves.
void grow(const Fd& file, std::uint64_t size) {
  if (file_size(file) < size && ftruncate(file.get(), static_cast<off_t>(size)) != 0)
    throw_errno("ftruncate");
}

class Sealing {
 public:
  Sealing(const Fd& input, const SealOptions& options, KeyHandle& key, Random& random, const Fd& output)
      : input_(input),
        output_(output),
        options_(options),
        key_(key),
        random_(random),
        token_(key.open_worker()),
        bulk_(std::in_place, output) {
    seal_id_ = options.seal_id.empty() ? random.bytes(kIdSize) : options.seal_id;
  }

  SealResult run(const qpc::Container& container, SealSigner& signer, const Progress& progress) {
    prepare(container);
    const Layout layout = planned_layout(container, options_);
    place(layout);
    encrypt_all(progress);
    return finish(layout, signer);
  }

 private:
  void prepare(const qpc::Container& container) {
    parts_.resize(container.segments().size());
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      Part& part = parts_[i];
      part = part_for(container.segments()[i], options_);
      if (part.sealed) prepare_aead(part);
      part.digest = std::make_unique<SegmentDigest>(part.size());
      part.first_task = tasks_;
      tasks_ += part.tasks();
      if (part.inner == nullptr) total_ += part.size();
    }
  }

  // All of its part of seal.aead but the entries.
  void prepare_aead(Part& part) {
    part.header.mek_id = copy(key_.id());
    part.header.seal_id = seal_id_;
    const auto header = encode_header(part.header);
    part.aead = copy(header);
    if (options_.mode == Mode::Envelope) {
      part.data_key = make_data_key(random_);
      part.aead.resize(kHeaderSize + kWrappedDataKeySize);
      token_->encrypt(data_key_aad(header, part.source->name), part.data_key.bytes(),
                      MutableBytes(part.aead).subspan(kHeaderSize));
    }
    append(part.aead, encode_ranges(part.header.clear));
    part.aead.resize(part.header.part_size());
  }

  void place(const Layout& layout) {
    for (std::size_t i = 0; i < parts_.size(); ++i)
      parts_[i].position = options_.begin + layout.segments[i].data_position;
    grow(output_, options_.begin + layout.file_size);
  }

  // One worker thread: its own session, its own buffers.
  Work make_worker() {
    auto tools = std::make_shared<Tools>(std::uint64_t{1} << options_.chunk_log2);
    if (options_.mode == Mode::Token) tools->token = key_.open_worker();
    return [this, tools](std::uint64_t task) {
      Part& part = part_of(task);
      store_chunk(part, task - part.first_task, *tools);
    };
  }

  Part& part_of(std::uint64_t task) {
    const auto after =
        std::upper_bound(parts_.begin(), parts_.end(), task,
                         [](std::uint64_t t, const Part& part) { return t < part.first_task; });
    return *std::prev(after);
  }

  GcmWorker& worker_for(const Part& part, Tools& tools) {
    if (options_.mode == Mode::Token) return *tools.token;
    auto& data_key = tools.data_keys[&part];
    if (!data_key) data_key = open_data_key(part.data_key, random_);
    return *data_key;
  }

  // Read, encrypted, hashed and written in one go; all that it needs is in the processor's cache.
  void store_chunk(Part& part, std::uint64_t index, Tools& tools) {
    const qpc::Extent chunk = part.header.chunk(index);
    const MutableBytes stored = tools.chunk(whole_pages(chunk.size)), used = stored.first(chunk.size);
    const std::uint64_t from = part.source->data_position + chunk.first;
    const std::uint64_t sealed = part.sealed ? part.header.sealed_in_chunk(index) : 0;
    const MutableBytes plain = input_.read(tools.plain, from, chunk.size);
    if (sealed == chunk.size) {
      encrypt(part, index, plain, tools.message(chunk.size), tools);
    } else {
      std::ranges::copy(plain, used.begin());
      if (sealed > 0) encrypt_between(part, index, used, tools);
    }
    std::ranges::fill(stored.subspan(chunk.size), std::uint8_t{0});  // the rest of its last page
    part.digest->add(index, tools.digester.digests(used));
    bulk_->write(stored, part.position + chunk.first);
    done_ += chunk.size;
  }

  // `stored` becomes IV || ciphertext || tag.
  void encrypt(Part& part, std::uint64_t index, ByteView plain, MutableBytes stored, Tools& tools) {
    const SegmentHeader& header = part.header;
    worker_for(part, tools)
        .encrypt(chunk_aad(ByteView(part.aead).first(kHeaderSize), part.source->name, index,
                           index == header.last_sealed_chunk()),
                 plain, stored);
    const MutableBytes entry = MutableBytes(part.aead).subspan(
        header.front_size() + (header.entries_before(index) * kEntrySize), kEntrySize);
    std::ranges::copy(stored.first(kIvSize), entry.begin());
    std::ranges::copy(stored.last(kTagSize), entry.subspan(kIvSize).begin());
  }

  // A chunk with clear ranges in it.
  void encrypt_between(Part& part, std::uint64_t index, MutableBytes chunk, Tools& tools) {
    const std::uint64_t first = part.header.chunk(index).first;
    const Bytes plain = gather_sealed(part.header.clear, first, chunk);
    Bytes stored(plain.size() + kIvSize + kTagSize);
    encrypt(part, index, plain, stored, tools);
    scatter_sealed(part.header.clear, first, ByteView(stored).subspan(kIvSize, plain.size()), chunk);
  }

  // Past the page cache a thread waits for the disk while others could compute.
  [[nodiscard]] unsigned threads() const {
    constexpr unsigned kWaiting = 2;
    if (options_.threads != 0) return options_.threads;
    return default_threads() + (bulk_->is_direct() ? kWaiting : 0);
  }

  void encrypt_all(const Progress& progress) {
    const auto tick = [&] {
      if (progress) progress(done_, total_);
    };
    run_parallel(threads(), tasks_, [this] { return make_worker(); }, tick);
  }

  [[nodiscard]] Manifest manifest() const {
    Manifest out = make_manifest(options_, seal_id_, key_.id());
    for (const Part& part : parts_) {
      const bool inner = part.inner != nullptr;
      out.segments.push_back(
          make_row(part, inner ? part.inner->manifest_digest : part.digest->finish(part.aead)));
    }
    return out;
  }

  [[nodiscard]] Bytes aead() const {
    Bytes out;
    for (const Part& part : parts_) append(out, part.aead);
    return out;
  }

  SealResult finish(const Layout& layout, SealSigner& signer) {
    bulk_.reset();
    const Bytes bytes = encode_manifest(manifest());
    if (bytes.size() > kMaxManifest)  // check_plain() bounds the segments, qpc::Container their names
      throw Error(ErrorKind::Internal, "a manifest of " + std::to_string(bytes.size()) + " bytes");
    const Sha256Digest digest = sha256(bytes);
    Bytes tag(kTagSegmentSize);
    token_->encrypt(view(kManifestText), digest, tag);
    const Bytes signature = signer.sign(seal_message(digest));
    const std::uint64_t begin = options_.begin;
    const Bytes aead = this->aead();
    std::size_t row = parts_.size();
    for (const ByteView added : {ByteView(aead), ByteView(bytes), ByteView(tag), ByteView(signature)})
      write_exact(output_, added, begin + layout.segments[row++].data_position);
    write_exact(output_, qpc::encode_front(layout.segments, layout.file_size), begin);
    if (file_size(output_) != begin + layout.file_size || signature.size() != kSignatureSize)
      throw Error(ErrorKind::Internal, "the sealed container does not have the size of its layout");
    return {seal_id_, digest, 0, begin + layout.slot_page, layout.file_size};
  }

  BulkReader input_;
  const Fd& output_;
  const SealOptions& options_;
  KeyHandle& key_;
  Random& random_;
  std::unique_ptr<GcmWorker> token_;
  Bytes seal_id_;
  std::vector<Part> parts_;
  std::uint64_t tasks_ = 0, total_ = 0;
  std::atomic<std::uint64_t> done_{0};
  std::optional<BulkWriter> bulk_;
};

}  // namespace

SealResult seal(const Fd& input, const qpc::Container& container, const SealOptions& options, KeyHandle& key,
                SealSigner& signer, Random& random, const Fd& output, const Progress& progress) {
  check_plain(container);
  check_wanted(container, options);
  SealResult result = Sealing(input, options, key, random, output).run(container, signer, progress);
  result.encryptions = encryptions_needed(container, options);
  return result;
}

}  // namespace qpcseal::seal
