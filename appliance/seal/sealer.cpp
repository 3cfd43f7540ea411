// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/sealer.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "appliance/seal/data_key.h"
#include "appliance/seal/layout.h"
#include "appliance/seal/segment_plan.h"
#include "base/error.h"
#include "base/parallel.h"

namespace qpcseal::seal {

namespace {

constexpr std::size_t kCopyPiece = std::size_t{64} << 10;  // bytes; it stays in the processor's cache

class Sealing {
 public:
  Sealing(const Fd& input, const SealOptions& options, KeyHandle& key, Random& random, const Fd& output)
      : input_(input),
        output_(output),
        options_(options),
        key_(key),
        random_(random),
        token_(key.open_worker()) {
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
      if (part.sealed) prepare_header(part);
      part.digests.resize(part.tasks());
      part.first_task = tasks_;
      tasks_ += part.tasks();
      if (part.inner == nullptr) total_ += part.source->size;
    }
  }

  void prepare_header(Part& part) {
    part.header.mek_id = copy(key_.id());
    part.header.seal_id = seal_id_;
    const auto header = encode_header(part.header);
    part.header_block = copy(header);
    if (options_.mode == Mode::Token) return;
    part.data_key = make_data_key(random_);
    part.header_block.resize(kHeaderSize + kWrappedDataKeySize);
    const MutableBytes wrapped = MutableBytes(part.header_block).subspan(kHeaderSize);
    token_->encrypt(data_key_aad(header, part.source->name), part.data_key.bytes(), wrapped);
  }

  void place(const Layout& layout) {
    for (std::size_t i = 0; i < parts_.size(); ++i)
      parts_[i].position = options_.begin + layout.segments[i].data_position;
  }

  // One worker thread: its own session, its own buffers.
  Work make_worker() {
    struct Tools {
      std::unique_ptr<GcmWorker> token;
      std::map<const Part*, std::unique_ptr<GcmWorker>> data_keys;
      Bytes piece = Bytes(kCopyPiece);
    };
    auto tools = std::make_shared<Tools>();
    if (options_.mode == Mode::Token) tools->token = key_.open_worker();
    return [this, tools](std::uint64_t task) {
      Part& part = part_of(task);
      if (!part.sealed) return copy_clear(part, tools->piece);
      auto& data_key = tools->data_keys[&part];
      if (options_.mode == Mode::Envelope && !data_key) data_key = open_data_key(part.data_key, random_);
      GcmWorker& worker = options_.mode == Mode::Token ? *tools->token : *data_key;
      encrypt_chunk(part, task - part.first_task, worker);
    };
  }

  Part& part_of(std::uint64_t task) {
    const auto after =
        std::upper_bound(parts_.begin(), parts_.end(), task,
                         [](std::uint64_t t, const Part& part) { return t < part.first_task; });
    return *std::prev(after);
  }

  void copy_clear(Part& part, Bytes& buffer) {
    Sha256 hash;
    for (std::uint64_t at = 0; at < part.source->size;) {
      const MutableBytes piece =
          MutableBytes(buffer).first(std::min<std::uint64_t>(buffer.size(), part.source->size - at));
      read_exact(input_, piece, part.source->data_position + at);
      hash.update(piece);
      write(piece, part.position + at);
      at += piece.size();
      done_ += piece.size();
    }
    part.digests[0] = hash.finish();
  }

  // The kernel lets one thread at a time write to a file, and the others wait for it busily: here they sleep.
  void write(ByteView bytes, std::uint64_t position) {
    const std::lock_guard lock(writing_);
    write_exact(output_, bytes, position);
  }

  // Piece by piece read, encrypted, hashed and written, so that the pieces stay in the processor's cache.
  void encrypt_chunk(Part& part, std::uint64_t index, GcmWorker& worker) {
    const std::uint64_t size = part.header.chunk_plain_size(index);
    std::uint64_t from = part.source->data_position + index * part.header.chunk_size();
    std::uint64_t to = part.position + part.header.chunk_position(index);
    Sha256 hash;
    const auto read = [&](MutableBytes piece) {
      read_exact(input_, piece, from);
      from += piece.size();
    };
    const auto store = [&](ByteView piece) {
      hash.update(piece);
      write(piece, to);
      to += piece.size();
    };
    worker.encrypt_stream(chunk_aad(ByteView(part.header_block).first(kHeaderSize), part.source->name, index,
                                    index + 1 == part.header.chunk_count()),
                          {size, read, store});
    part.digests[index] = hash.finish();
    done_ += size;
  }

  void encrypt_all(const Progress& progress) {
    const auto tick = [&] {
      if (progress) progress(done_, total_);
    };
    run_parallel(options_.threads, tasks_, [this] { return make_worker(); }, tick);
  }

  static Sha256Digest digest_of(const Part& part) {
    if (part.inner != nullptr) return part.inner->manifest_digest;
    if (!part.sealed) return part.digests[0];
    Sha256 hash;
    hash.update(part.header_block);
    for (const Sha256Digest& digest : part.digests) hash.update(digest);
    return hash.finish();
  }

  [[nodiscard]] Manifest manifest() const {
    Manifest out = make_manifest(options_, seal_id_, key_.id());
    for (const Part& part : parts_) out.segments.push_back(make_row(part, digest_of(part)));
    return out;
  }

  SealResult finish(const Layout& layout, SealSigner& signer) {
    for (const Part& part : parts_)
      if (part.sealed) write_exact(output_, part.header_block, part.position);
    const Bytes bytes = encode_manifest(manifest());
    if (bytes.size() > kMaxManifest)  // check_plain() bounds the segments, qpc::Container their names
      throw Error(ErrorKind::Internal, "a manifest of " + std::to_string(bytes.size()) + " bytes");
    const Sha256Digest digest = sha256(bytes);
    Bytes tag(kTagSegmentSize);
    token_->encrypt(view(kManifestText), digest, tag);
    const Bytes signature = signer.sign(seal_message(digest));
    const std::size_t own = parts_.size();
    const std::uint64_t begin = options_.begin;
    write_exact(output_, bytes, begin + layout.segments[own].data_position);
    write_exact(output_, tag, begin + layout.segments[own + 1].data_position);
    write_exact(output_, signature, begin + layout.segments[own + 2].data_position);
    write_exact(output_, qpc::encode_front(layout.segments, layout.file_size), begin);
    if (file_size(output_) != begin + layout.file_size || signature.size() != kSignatureSize)
      throw Error(ErrorKind::Internal, "the sealed container does not have the size of its layout");
    return {seal_id_, digest, 0, begin + layout.slot_page, layout.file_size};
  }

  const Fd &input_, &output_;
  const SealOptions& options_;
  KeyHandle& key_;
  Random& random_;
  std::unique_ptr<GcmWorker> token_;
  Bytes seal_id_;
  std::vector<Part> parts_;
  std::uint64_t tasks_ = 0, total_ = 0;
  std::atomic<std::uint64_t> done_{0};
  std::mutex writing_;
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
