// SPDX-License-Identifier: Apache-2.0
#include "qpc/container.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/utf8.h"

namespace qpcseal::qpc {

namespace {

Error bad(const std::string& what) { return {ErrorKind::Malformed, "QPC: " + what}; }

struct Range {
  std::uint64_t begin = 0, end = 0;
  std::string what;
};

struct Header {
  std::uint64_t size = 0, base = 0, count = 0, table = 0;
};

// A pointer as a file position, with room for `length` bytes behind it.
std::uint64_t resolve(std::uint64_t pointer, std::uint64_t length, const Header& header,
                      const std::string& what) {
  if (pointer < header.base) throw bad(what + " points before the file");
  const std::uint64_t position = pointer - header.base;
  if (position > header.size || length > header.size - position) throw bad(what + " points outside the file");
  return position;
}

Header read_header(const Fd& file, std::uint64_t begin, std::uint64_t size) {
  if (size < kHeaderSize) throw bad("shorter than its header");
  Bytes bytes(kHeaderSize);
  read_exact(file, bytes, begin);
  ByteReader reader(bytes, "QPC header");
  if (reader.le(4) != kMagic) throw bad("wrong magic: not a QPC file");
  const std::uint64_t major = reader.le(1), minor = reader.le(1), compression = reader.le(2);
  if (major != 0 || minor != 1)
    throw bad("version " + std::to_string(major) + "." + std::to_string(minor) + ", only 0.1 is known");
  if (compression != 1)
    throw bad("compression " + std::to_string(compression) + ", only 1 (serialised) can be a file");
  Header header;
  header.size = reader.le(8);
  header.base = reader.le(8);
  header.count = reader.le(8);
  header.table = reader.le(8);
  if (header.size != size)
    throw bad("header names a size of " + std::to_string(header.size) + " bytes, the file has " +
              std::to_string(size));
  if (header.count > kMaxSegments)
    throw bad(std::to_string(header.count) + " segments, at most 4096 are read");
  return header;
}

// `position` and `limit` are the file's.
std::string read_name(const Fd& file, std::uint64_t position, std::uint64_t limit, const std::string& what) {
  Bytes bytes(static_cast<std::size_t>(std::min<std::uint64_t>(kMaxName + 1, limit - position)));
  read_exact(file, bytes, position);
  const auto end = std::ranges::find(bytes, 0);
  if (end == bytes.end()) throw bad(what + " is not terminated within 255 bytes");
  std::string name(bytes.begin(), end);
  const auto control = [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f || c == '/'; };
  if (name.empty() || std::ranges::any_of(name, control) || !is_utf8(name))
    throw bad(what + " is empty, no UTF-8, or has a control character or '/'");
  return name;
}

void refuse_overlap(std::vector<Range> ranges) {
  std::ranges::sort(ranges, {}, &Range::begin);
  for (std::size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i].begin < ranges[i - 1].end) throw bad(ranges[i].what + " overlaps " + ranges[i - 1].what);
}

}  // namespace

Container Container::read(const Fd& file) { return read(file, 0, qpcseal::file_size(file)); }

Container Container::read(const Fd& file, std::uint64_t begin, std::uint64_t size) {
  Container out;
  out.begin_ = begin;
  out.size_ = size;
  const Header header = read_header(file, begin, size);
  out.base_ = header.base;
  const std::uint64_t table = resolve(header.table, header.count * kRowSize, header, "the segment table");
  Bytes rows(static_cast<std::size_t>(header.count * kRowSize));
  read_exact(file, rows, begin + table);
  std::vector<Range> ranges = {{0, kHeaderSize, "the header"}};
  if (!rows.empty()) ranges.push_back({table, table + rows.size(), "the segment table"});
  std::set<std::string> names;
  ByteReader reader(rows, "QPC segment table");
  for (std::uint64_t i = 0; i < header.count; ++i) {
    const std::string row = "segment " + std::to_string(i);
    Segment segment;
    segment.size = reader.le(8);
    segment.offset = reader.le(8);
    const std::uint64_t name_pointer = reader.le(8), data_pointer = reader.le(8);
    const std::uint64_t name_position = resolve(name_pointer, 1, header, "the name of " + row);
    segment.name = read_name(file, begin + name_position, begin + size, "the name of " + row);
    if (!names.insert(segment.name).second) throw bad("two segments are named '" + segment.name + "'");
    const std::string what = "segment '" + segment.name + "'";
    const std::uint64_t data_position = resolve(data_pointer, segment.size, header, what);
    segment.data_position = begin + data_position;
    if (segment.name == kConstants && segment.offset > segment.size)
      throw bad(what + ": its offset field lies beyond its size");
    ranges.push_back({name_position, name_position + segment.name.size() + 1, "the name of " + what});
    if (segment.size > 0) ranges.push_back({data_position, data_position + segment.size, what});
    out.segments_.push_back(std::move(segment));
  }
  refuse_overlap(std::move(ranges));
  return out;
}

const Segment* Container::find(std::string_view name) const {
  const auto found = std::ranges::find(segments_, name, &Segment::name);
  return found == segments_.end() ? nullptr : &*found;
}

bool is_qpc(const Fd& file, std::uint64_t begin, std::uint64_t size) {
  if (size < sizeof(kMagic)) return false;
  Bytes magic(sizeof(kMagic));
  read_exact(file, magic, begin);
  return load_le(magic) == kMagic;
}

bool is_reserved_name(std::string_view name) { return name.starts_with("seal.") || name.starts_with("MEK."); }

std::uint64_t front_size(const std::vector<Segment>& segments) {
  std::uint64_t size = kHeaderSize + kRowSize * segments.size();
  for (const auto& segment : segments) size += segment.name.size() + 1;
  return size;
}

Bytes encode_front(const std::vector<Segment>& segments, std::uint64_t file_size) {
  Bytes out, names;
  append_le(out, kMagic, 4);
  append_le(out, 0, 1);
  append_le(out, 1, 1);
  append_le(out, 1, 2);
  append_le(out, file_size, 8);
  append_le(out, 0, 8);
  append_le(out, segments.size(), 8);
  append_le(out, kHeaderSize, 8);
  const std::uint64_t names_at = kHeaderSize + kRowSize * segments.size();
  for (const auto& segment : segments) {
    append_le(out, segment.size, 8);
    append_le(out, segment.offset, 8);
    append_le(out, names_at + names.size(), 8);
    append_le(out, segment.data_position, 8);
    append(names, segment.name);
    names.push_back(0);
  }
  append(out, names);
  return out;
}

std::uint64_t place_unaligned(std::vector<Segment>& segments) {
  std::uint64_t position = front_size(segments);
  for (auto& segment : segments) {
    segment.data_position = position;
    position += segment.size;
  }
  return position;
}

}  // namespace qpcseal::qpc
