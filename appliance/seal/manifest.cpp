// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/manifest.h"

#include "base/error.h"
#include "encoding/cbor.h"

namespace qpcseal::seal {

namespace {

constexpr std::size_t kId = 16;
constexpr std::uint64_t kMembers = 10, kSegmentMembers = 6;

const cbor::Value& need(const cbor::Value& map, std::int64_t key) {
  const cbor::Value* value = map.find(key);
  if (value == nullptr)
    throw Error(ErrorKind::Malformed, "manifest: member " + std::to_string(key) + " is missing");
  return *value;
}

Bytes id_of(const cbor::Value& value) {
  const ByteView bytes = value.as_bytes("manifest id");
  if (bytes.size() != kId) throw Error(ErrorKind::Malformed, "manifest: an id has 16 bytes");
  return copy(bytes);
}

qpc::Extent range_of(const cbor::Value& value) {
  const auto& items = value.as_array("clear range");
  if (items.size() != 2) throw Error(ErrorKind::Malformed, "manifest: a clear range has two members");
  return {items[0].as_unsigned("first"), items[1].as_unsigned("length")};
}

ManifestSegment segment_of(const cbor::Value& value) {
  const auto& items = value.as_array("manifest segment");
  if (items.size() != kSegmentMembers)
    throw Error(ErrorKind::Malformed, "manifest: a segment has six members");
  ManifestSegment out;
  out.name = items[0].as_text("segment name");
  out.size = items[1].as_unsigned("size");
  out.offset = items[2].as_unsigned("offset");
  const std::uint64_t kind = items[3].as_unsigned("kind");
  const ByteView digest = items[4].as_bytes("digest");
  if (kind > 2 || digest.size() != out.digest.size())
    throw Error(ErrorKind::Malformed, "manifest: segment '" + out.name + "' has an unknown kind or digest");
  out.kind = static_cast<SegmentKind>(kind);
  std::copy(digest.begin(), digest.end(), out.digest.begin());
  for (const cbor::Value& range : items[5].as_array("clear ranges")) out.clear.push_back(range_of(range));
  if (out.kind != SegmentKind::Sealed ? !out.clear.empty() : !are_well_formed(out.clear, out.size))
    throw Error(ErrorKind::Malformed, "manifest: the clear ranges of '" + out.name + "' are none");
  return out;
}

}  // namespace

Bytes encode_manifest(const Manifest& manifest) {
  cbor::Writer out;
  out.map(kMembers).unsigned_(1).text(kManifestText);
  out.unsigned_(2).bytes(manifest.seal_id).unsigned_(3).bytes(manifest.mek_id);
  out.unsigned_(4).integer(manifest.created).unsigned_(5).text(manifest.model_name);
  out.unsigned_(6).unsigned_(manifest.model_version).unsigned_(7).bytes(manifest.root_seal_id);
  out.unsigned_(8).unsigned_(manifest.partition_index).unsigned_(9).unsigned_(manifest.partition_count);
  out.unsigned_(10).array(manifest.segments.size());
  for (const ManifestSegment& segment : manifest.segments) {
    out.array(kSegmentMembers).text(segment.name).unsigned_(segment.size).unsigned_(segment.offset);
    out.unsigned_(static_cast<std::uint64_t>(segment.kind)).bytes(segment.digest).array(segment.clear.size());
    for (const qpc::Extent& range : segment.clear) out.array(2).unsigned_(range.first).unsigned_(range.size);
  }
  return out.take();
}

Manifest parse_manifest(ByteView bytes) {
  const cbor::Value root = cbor::parse_large(bytes, cbor::Level::Deterministic, "manifest", kMaxManifest);
  if (root.as_map("manifest").size() != kMembers || need(root, 1).as_text("manifest type") != kManifestText)
    throw Error(ErrorKind::Malformed, "manifest: not \"" + std::string(kManifestText) + "\"");
  Manifest out;
  out.seal_id = id_of(need(root, 2));
  out.mek_id = id_of(need(root, 3));
  out.created = static_cast<UnixTime>(need(root, 4).as_unsigned("created") & INT64_MAX);
  out.model_name = need(root, 5).as_text("model name");
  out.model_version = need(root, 6).as_unsigned("model version");
  out.root_seal_id = id_of(need(root, 7));
  out.partition_index = need(root, 8).as_unsigned("partition index");
  out.partition_count = need(root, 9).as_unsigned("partition count");
  std::size_t ranges = 0;
  for (const cbor::Value& segment : need(root, 10).as_array("segments")) {
    out.segments.push_back(segment_of(segment));
    ranges += out.segments.back().clear.size();
  }
  if (ranges > kMaxClearRangesInAll)
    throw Error(ErrorKind::Malformed, "manifest: more than 1024 clear ranges");
  if (out.model_name.empty() || out.model_name.size() > kMaxModelName ||
      out.partition_index >= out.partition_count)
    throw Error(ErrorKind::Malformed, "manifest: model name or partition out of range");
  return out;
}

Bytes seal_message(const Sha256Digest& manifest_digest) {
  Bytes out = copy(view("qpcseal/seal/1"));
  out.push_back(0);
  append(out, manifest_digest);
  return out;
}

}  // namespace qpcseal::seal
