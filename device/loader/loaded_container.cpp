// SPDX-License-Identifier: Apache-2.0
#include "device/loader/loaded_container.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "encoding/cbor.h"

namespace qpcseal::device {

namespace {

constexpr std::uint64_t kPage = 4096, kSlot = 1024, kMaxManifest = 1310720;  // bytes
constexpr std::array<std::string_view, 7> kSeven{"seal.aead",   "seal.manifest", "seal.tag", "seal.sig",
                                                 "MEK.encrypt", "MEK.nonce",     "MEK.pub"};
constexpr std::size_t kMaxGaps = 64, kMaxGapsInAll = 1024;

[[noreturn]] void refuse_container(const std::string& why) {
  throw Error(ErrorKind::Denied, "container refused: " + why);
}
void require(bool good, const char* why) {
  if (!good) refuse_container(why);
}

Bytes read_at(const Fd& file, std::uint64_t position, std::uint64_t size) {
  Bytes out(size);
  read_exact(file, out, position);
  return out;
}

void require_zero(const Fd& file, std::uint64_t from, std::uint64_t to) {
  require(from <= to && to - from < kPage + kPage, "its segments do not lie where they must");
  const Bytes gap = read_at(file, from, to - from);
  require(std::all_of(gap.begin(), gap.end(), [](auto b) { return b == 0; }), "padding is not zero");
}

std::uint64_t next_page(std::uint64_t at) { return (at + kPage - 1) & ~(kPage - 1); }

// Walks the container from its first byte to its last; each byte is header, table, name, data, slot or a
// zero. An inner one begins on a page of the file, so that its pages are the file's.
void check_layout(const Fd& file, const qpc::Container& container, std::uint64_t slots_at) {
  const auto& rows = container.segments();
  const std::uint64_t begin = container.begin(), front = qpc::front_size(rows);
  std::vector<qpc::Segment> own = rows;
  for (qpc::Segment& row : own) row.data_position -= begin;
  require(equal(read_at(file, begin, front), qpc::encode_front(own, container.file_size())),
          "header, table or names are not canonical");
  require(slots_at == next_page(begin + front), "the slot page is not where it must be");
  require_zero(file, begin + front, slots_at);
  std::uint64_t at = slots_at + kPage;
  for (std::size_t i = 0; i + 3 < rows.size(); ++i) {
    const std::uint64_t start = next_page(at);
    require(rows[i].data_position == start, "its segments do not lie where they must");
    if (rows[i].size == 0) continue;
    require_zero(file, at, start);
    at = start + rows[i].size;
  }
  require(at == begin + container.file_size(), "something follows the last segment");
}

std::optional<Wrapped> read_slots(const Bytes& page) {
  const auto slot = [&](std::uint64_t index) {
    const ByteView bytes = ByteView(page).subspan(index * kSlot, kSlot);
    const std::uint64_t size = load_be(bytes.first(2));
    require(size <= kSlot - 2, "a MEK slot lies about its length");
    const ByteView rest = bytes.subspan(2 + size);
    require(std::all_of(rest.begin(), rest.end(), [](auto b) { return b == 0; }),
            "a MEK slot is not padded with zeros");
    return copy(bytes.subspan(2, size));
  };
  Wrapped out{slot(0), slot(1), slot(2)};
  require(std::all_of(page.begin() + 3 * kSlot, page.end(), [](auto b) { return b == 0; }),
          "the slot page has other bytes");
  if (out.encrypt.empty() && out.nonce.empty() && out.pub.empty()) return std::nullopt;
  require(!out.encrypt.empty() && !out.nonce.empty() && !out.pub.empty(), "it is half bound");
  return out;
}

Bytes id_of(const cbor::Value* value) {
  require(value != nullptr && value->is(cbor::Type::ByteString) && value->as_bytes("id").size() == 16,
          "the manifest has no ids");
  return copy(value->as_bytes("id"));
}

const cbor::Value& member(const cbor::Value& map, std::int64_t key) {
  const cbor::Value* value = map.find(key);
  require(value != nullptr, "the manifest lacks a member");
  return *value;
}

// Each begins behind the end of the one before, and a byte further.
std::vector<Gap> gaps_of(const cbor::Value& value, std::uint64_t size) {
  std::vector<Gap> out;
  std::uint64_t free = 0, clear = 0;  // where the next may begin; how much is clear
  for (const cbor::Value& pair : value.as_array("clear ranges")) {
    const auto& numbers = pair.as_array("range");
    require(numbers.size() == 2, "a clear range is no pair");
    const Gap gap{numbers[0].as_unsigned("first"), numbers[1].as_unsigned("length")};
    require(gap.length > 0 && gap.first >= free && gap.first < size && gap.length <= size - gap.first,
            "clear ranges are not in order or not inside");
    free = gap.first + gap.length + 1;
    clear += gap.length;
    out.push_back(gap);
  }
  require(out.size() <= kMaxGaps && clear < size, "too much is clear");
  return out;
}

ManifestEntry listed_of(const cbor::Value& value, const qpc::Segment& row) {
  const auto& parts = value.as_array("segment");
  require(parts.size() == 6, "the manifest lists a segment in another form");
  ManifestEntry out{std::string(parts[0].as_text("name")),
                    parts[1].as_unsigned("size"),
                    parts[2].as_unsigned("offset"),
                    row.data_position,
                    Kind::Clear,
                    {},
                    {}};
  const std::uint64_t kind = parts[3].as_unsigned("kind");
  const ByteView digest = parts[4].as_bytes("digest");
  require(kind <= 2 && digest.size() == out.digest.size(), "the manifest lists a segment in another form");
  require(out.name == row.name && out.size == row.size && out.offset == row.offset,
          "the segments are not those of the manifest");
  out.kind = static_cast<Kind>(kind);  // NOLINT(clang-analyzer-optin.core.EnumCastOutOfRange): required above
  std::copy(digest.begin(), digest.end(), out.digest.begin());
  if (out.kind == Kind::SealedContainer) {
    out.gaps = gaps_of(parts[5], out.size);
  } else {
    require(parts[5].as_array("clear ranges").empty(), "clear ranges of a segment that is not sealed");
  }
  return out;
}

void read_manifest(SealedContainer& out, const std::vector<qpc::Segment>& rows) {
  const cbor::Value map =
      cbor::parse_large(out.manifest, cbor::Level::Deterministic, "manifest", kMaxManifest);
  require(map.as_map("manifest").size() == 10 && member(map, 1).as_text("type") == "qpcseal/manifest/2",
          "the manifest is of another kind");
  out.seal_id = id_of(map.find(2));
  out.mek_id = id_of(map.find(3));
  static_cast<void>(member(map, 4).as_unsigned("created"));
  out.model_name = member(map, 5).as_text("model name");
  out.model_version = member(map, 6).as_unsigned("model version");
  out.root_seal_id = id_of(map.find(7));
  out.partition_index = member(map, 8).as_unsigned("index");
  out.partition_count = member(map, 9).as_unsigned("count");
  const auto& list = member(map, 10).as_array("segments");
  require(list.size() + kSeven.size() == rows.size(), "the segments are not those of the manifest");
  std::size_t gaps = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    out.segments.push_back(listed_of(list[i], rows[i]));
    gaps += out.segments.back().gaps.size();
  }
  require(gaps <= kMaxGapsInAll, "more than 1024 clear ranges");
}

// Which partition of how many this is, and of which model: as its manifest says and as it must be.
void check_inner(const SealedContainer& inner, const ManifestEntry& listed, const SealedContainer& root,
                 std::uint64_t count) {
  require(sha256(inner.manifest) == listed.digest, "it is not the partition that was sealed");
  require(inner.root_seal_id == root.seal_id && inner.mek_id == root.mek_id, "it is a part of another model");
  require(inner.partition_count == count, "the model has another number of partitions");
  for (const ManifestEntry& segment : inner.segments)
    require(segment.kind != Kind::Inner, "a partition that holds containers itself");
}

// Bytes that seal.aead has at most: every segment sealed in the smallest chunks, with the most ranges.
std::uint64_t most_aead(const std::vector<qpc::Segment>& rows, std::size_t own) {
  std::uint64_t most = 0;
  for (std::size_t i = 0; i < own; ++i) most += 64 + 44 + kMaxGaps * 16 + (rows[i].size / 65536 + 1) * 28;
  return most;
}

}  // namespace

SealedContainer read_sealed(const Fd& file, std::uint64_t begin, std::uint64_t size) {
  const qpc::Container container = qpc::Container::read(file, begin, size);
  const auto& rows = container.segments();
  if (!container.is_sealed()) throw Error(ErrorKind::Malformed, "this QPC is not sealed");
  require(rows.size() >= kSeven.size() && container.base() == 0, "it lacks segments of a sealed container");
  const std::size_t own = rows.size() - kSeven.size();
  for (std::size_t i = 0; i < kSeven.size(); ++i)
    require(rows[own + i].name == kSeven[i] && rows[own + i].offset == 0,
            "the added segments are not in order");
  require(rows[own].size <= most_aead(rows, own), "seal.aead is larger than its segments could need");
  require(rows[own + 1].size <= kMaxManifest && rows[own + 2].size == 60 && rows[own + 3].size == 64,
          "manifest, tag or signature have other sizes");
  const std::uint64_t slots_at = rows[own + 4].data_position;
  for (std::size_t i = 0; i < 3; ++i)
    require(rows[own + 4 + i].size == kSlot && rows[own + 4 + i].data_position == slots_at + i * kSlot,
            "the MEK slots are not in one page");
  check_layout(file, container, slots_at);
  SealedContainer out;
  out.begin = begin;
  out.wrapped = read_slots(read_at(file, slots_at, kPage));
  out.aead = read_at(file, rows[own].data_position, rows[own].size);
  out.manifest = read_at(file, rows[own + 1].data_position, rows[own + 1].size);
  out.tag = read_at(file, rows[own + 2].data_position, 60);
  out.signature = read_at(file, rows[own + 3].data_position, 64);
  try {
    read_manifest(out, rows);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Denied) throw;
    refuse_container(error.what());
  }
  return out;
}

SealedModel read_model(const Fd& file) {
  SealedModel model{read_sealed(file, 0, file_size(file)), {}};
  const SealedContainer& root = model.root;
  require(root.root_seal_id == root.seal_id && root.partition_index == 0 && root.partition_count == 1,
          "it is one partition of a model, taken out of it");
  const auto count =
      static_cast<std::uint64_t>(std::ranges::count(root.segments, Kind::Inner, &ManifestEntry::kind));
  std::vector<std::optional<SealedContainer>> found(count);
  for (const ManifestEntry& segment : root.segments) {
    if (segment.kind != Kind::Inner) continue;
    with_context("partition '" + segment.name + "'", [&] {
      SealedContainer inner = read_sealed(file, segment.position, segment.size);
      check_inner(inner, segment, root, count);
      require(inner.partition_index < count && !found[inner.partition_index], "its number is another's");
      inner.segment = segment.name;
      found[inner.partition_index] = std::move(inner);
    });
  }
  for (auto& inner : found) model.partitions.push_back(std::move(inner.value()));
  require(count == 0 || !root.wrapped, "its own MEK slots are in use, though it holds partitions");
  return model;
}

}  // namespace qpcseal::device
