// SPDX-License-Identifier: Apache-2.0
// The reader against two others, libcbor and Python's cbor2: on random valid input all agree, and what ours
// accepts of damaged input libcbor reads alike.
#include <cbor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <random>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "encoding/cbor.h"
#include "tests/base/temp_folder.h"

namespace qpcseal::cbor {
namespace {

// Random items, encoded; map keys sorted and distinct.
class Maker {
 public:
  explicit Maker(unsigned seed) : random_(seed) {}

  Bytes item(unsigned depth = 0) {
    switch (below(depth > 5 ? 6 : 9)) {
      case 0:
        return Writer().unsigned_(number()).take();
      case 1:
        return Writer().integer(-1 - static_cast<std::int64_t>(number() >> 1)).take();
      case 2:
        return Writer().bytes(bytes()).take();
      case 3:
        return Writer().text(text()).take();
      case 4:
        return Writer().boolean(below(2) == 0).take();
      case 5:
        return Writer().null().take();
      case 6:
        return array(depth);
      case 7:
        return map(depth);
      default:  // tag numbers to which no reader gives a meaning of its own
        return Writer().tag(60000 + below(1000)).encoded(item(depth + 1)).take();
    }
  }
  std::size_t below(std::size_t bound) { return random_() % bound; }

 private:
  std::uint64_t number() { return random_() >> below(64); }
  Bytes bytes() {
    Bytes out(below(40));
    for (auto& byte : out) byte = static_cast<std::uint8_t>(random_());
    return out;
  }
  std::string text() {
    std::string out;
    for (std::size_t i = below(30); i > 0; --i) out += kCharacters[below(std::size(kCharacters))];
    return out;
  }
  Bytes key() {
    switch (below(3)) {
      case 0:
        return Writer().unsigned_(number()).take();
      case 1:
        return Writer().bytes(bytes()).take();
      default:
        return Writer().text(text()).take();
    }
  }
  Bytes array(unsigned depth) {
    Writer out;
    const std::size_t count = below(6);
    out.array(count);
    for (std::size_t i = 0; i < count; ++i) out.encoded(item(depth + 1));
    return out.take();
  }
  Bytes map(unsigned depth) {
    std::map<Bytes, Bytes> pairs;
    for (std::size_t i = below(6); i > 0; --i) pairs[key()] = item(depth + 1);
    Writer out;
    out.map(pairs.size());
    for (const auto& [name, member] : pairs) out.encoded(name).encoded(member);
    return out.take();
  }

  static constexpr const char* kCharacters[] = {"a", "Z", "0", " ", "ü", "€", "水", "𐅑", "\x7f"};
  std::mt19937_64 random_;
};

using Item = std::unique_ptr<cbor_item_t, void (*)(cbor_item_t*)>;

Item load(ByteView bytes, std::size_t& used) {
  cbor_load_result result{};
  cbor_item_t* item = cbor_load(bytes.data(), bytes.size(), &result);
  used = result.read;
  return {item, [](cbor_item_t* loaded) {
            if (loaded != nullptr) cbor_decref(&loaded);
          }};
}

bool same(const Value& ours, const cbor_item_t* theirs);

bool same_array(const Value& ours, const cbor_item_t* theirs) {
  const auto& items = ours.as_array("array");
  if (!cbor_isa_array(theirs) || cbor_array_size(theirs) != items.size()) return false;
  for (std::size_t i = 0; i < items.size(); ++i)
    if (!same(items[i], cbor_array_handle(theirs)[i])) return false;
  return true;
}

bool same_map(const Value& ours, const cbor_item_t* theirs) {
  const auto& pairs = ours.as_map("map");
  if (!cbor_isa_map(theirs) || cbor_map_size(theirs) != pairs.size()) return false;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const cbor_pair& pair = cbor_map_handle(theirs)[i];
    if (!same(pairs[i].first, pair.key) || !same(pairs[i].second, pair.value)) return false;
  }
  return true;
}

bool same_bytes(ByteView ours, const unsigned char* theirs, std::size_t size) {
  return std::ranges::equal(ours, ByteView(theirs, size));
}

bool same(const Value& ours, const cbor_item_t* theirs) {
  switch (ours.type()) {
    case Type::Unsigned:
      return cbor_isa_uint(theirs) && cbor_get_int(theirs) == ours.as_unsigned("number");
    case Type::Negative:  // beyond int64 the accessor refuses; then the raw argument counts
      return cbor_isa_negint(theirs) &&
             (cbor_get_int(theirs) >> 63 != 0 ||
              -1 - static_cast<std::int64_t>(cbor_get_int(theirs)) == ours.as_int("number"));
    case Type::ByteString:
      return cbor_isa_bytestring(theirs) && same_bytes(ours.as_bytes("bytes"), cbor_bytestring_handle(theirs),
                                                       cbor_bytestring_length(theirs));
    case Type::Text:
      return cbor_isa_string(theirs) &&
             same_bytes(view(ours.as_text("text")), cbor_string_handle(theirs), cbor_string_length(theirs));
    case Type::Array:
      return same_array(ours, theirs);
    case Type::Map:
      return same_map(ours, theirs);
    case Type::Tag: {
      if (!cbor_isa_tag(theirs) || cbor_tag_value(theirs) != ours.tag_number("tag")) return false;
      const Item inner(cbor_tag_item(theirs), [](cbor_item_t* item) { cbor_decref(&item); });
      return same(ours.tagged("tag"), inner.get());
    }
    case Type::Bool:
      return cbor_isa_float_ctrl(theirs) && cbor_is_bool(theirs) &&
             cbor_get_bool(theirs) == ours.as_bool("bool");
    case Type::Null:
      return cbor_isa_float_ctrl(theirs) && cbor_is_null(theirs);
  }
  return false;
}

// libcbor 0.8 refuses the tags 6 to 20, which were unassigned once.
bool has_tag_unknown_to_libcbor(const Value& value) {
  switch (value.type()) {
    case Type::Tag: {
      const std::uint64_t number = value.tag_number("tag");
      return (number >= 6 && number <= 20) || has_tag_unknown_to_libcbor(value.tagged("tag"));
    }
    case Type::Array:
      return std::ranges::any_of(value.as_array("array"), has_tag_unknown_to_libcbor);
    case Type::Map:
      return std::ranges::any_of(value.as_map("map"), [](const auto& pair) {
        return has_tag_unknown_to_libcbor(pair.first) || has_tag_unknown_to_libcbor(pair.second);
      });
    default:
      return false;
  }
}

TEST(CborDifferential, LibcborReadsRandomItemsAlike) {
  Maker maker(7);
  for (int round = 0; round < 5000; ++round) {
    const Bytes bytes = maker.item();
    if (bytes.size() > kMaxSize) continue;
    const Value value = parse(bytes, Level::Deterministic, "random");
    std::size_t used = 0;
    const Item theirs = load(bytes, used);
    ASSERT_TRUE(theirs) << to_hex(bytes);
    ASSERT_EQ(used, bytes.size());
    ASSERT_TRUE(same(value, theirs.get())) << to_hex(bytes);
  }
}

TEST(CborDifferential, LibcborReadsAlikeWhatWeAcceptOfDamagedItems) {
  Maker maker(8);
  int accepted = 0, refused = 0;
  for (int round = 0; round < 50000; ++round) {
    Bytes bytes = maker.item();
    for (std::size_t i = maker.below(3); i > 0; --i)
      bytes[maker.below(bytes.size())] ^= static_cast<std::uint8_t>(1U << maker.below(8));
    try {
      const Value value = parse(bytes, Level::Strict, "damaged");
      std::size_t used = 0;
      const Item theirs = load(bytes, used);
      if (!theirs && has_tag_unknown_to_libcbor(value)) continue;
      ASSERT_TRUE(theirs) << to_hex(bytes);
      ASSERT_EQ(used, bytes.size()) << to_hex(bytes);
      ASSERT_TRUE(same(value, theirs.get())) << to_hex(bytes);
      ++accepted;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::Malformed) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(accepted, 1000);
  EXPECT_GT(refused, 1000);
}

// Encodes what was read anew, by hand; equal bytes mean that nothing was read wrong.
void encode(const Value& value, Writer& out) {
  switch (value.type()) {
    case Type::Unsigned:
      out.unsigned_(value.as_unsigned("number"));
      return;
    case Type::Negative:
      out.integer(value.as_int("number"));
      return;
    case Type::ByteString:
      out.bytes(value.as_bytes("bytes"));
      return;
    case Type::Text:
      out.text(value.as_text("text"));
      return;
    case Type::Array:
      out.array(value.as_array("array").size());
      for (const Value& item : value.as_array("array")) encode(item, out);
      return;
    case Type::Map:
      out.map(value.as_map("map").size());
      for (const auto& [key, member] : value.as_map("map")) {
        encode(key, out);
        encode(member, out);
      }
      return;
    case Type::Tag:
      out.tag(value.tag_number("tag"));
      encode(value.tagged("tag"), out);
      return;
    case Type::Bool:
      out.boolean(value.as_bool("bool"));
      return;
    case Type::Null:
      out.null();
  }
}

// Reads each line of `in` by cbor2 and writes it anew; then 500 random items of Python's own.
constexpr const char* kScript = R"py(
import random, sys, cbor2
for line in open(sys.argv[1]):
    print(cbor2.dumps(cbor2.loads(bytes.fromhex(line))).hex())
r = random.Random(9)
def text(): return ''.join(r.choice('aZ0 ü€水𐅑') for _ in range(r.randrange(30)))
def key(): return r.choice([lambda: r.getrandbits(r.randrange(1, 64)), text, lambda: r.randbytes(r.randrange(40))])()
def item(depth):
    kind = r.randrange(6 if depth > 4 else 9)
    if kind == 0: return r.getrandbits(r.randrange(1, 65))
    if kind == 1: return -1 - r.getrandbits(r.randrange(1, 64))
    if kind == 2: return r.randbytes(r.randrange(300))
    if kind == 3: return text()
    if kind == 4: return r.choice([True, False])
    if kind == 5: return None
    if kind == 6: return [item(depth + 1) for _ in range(r.randrange(6))]
    if kind == 7: return {key(): item(depth + 1) for _ in range(r.randrange(6))}
    return cbor2.CBORTag(60000 + r.randrange(1000), item(depth + 1))
for _ in range(500): print(cbor2.dumps(item(0)).hex())
)py";

std::string run(const std::string& command) {
  std::string out;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  char part[4096];
  for (std::size_t got = 0; (got = fread(part, 1, sizeof part, pipe.get())) > 0;) out.append(part, got);
  return out;
}

TEST(CborDifferential, Cbor2ReadsAndWritesRandomItemsAlike) {
  if (run("/usr/bin/python3 -c 'import cbor2; print(1)' 2>/dev/null") != "1\n")
    GTEST_SKIP() << "Python's cbor2 is not installed";
  Maker maker(10);
  std::string lines;
  for (int i = 0; i < 500; ++i) lines += to_hex(maker.item()) + "\n";
  const qpcseal::testing::TempFolder folder;
  write_file(folder / "in", view(lines), Existing::Refuse);
  write_file(folder / "script", view(kScript), Existing::Refuse);
  const std::string out =
      run("/usr/bin/python3 '" + (folder / "script").string() + "' '" + (folder / "in").string() + "'");
  ASSERT_EQ(out.substr(0, lines.size()), lines);
  std::istringstream theirs(out.substr(lines.size()));
  int count = 0;
  for (std::string line; std::getline(theirs, line); ++count) {
    const Bytes bytes = from_hex(line);
    Writer again;
    encode(parse(bytes, Level::Strict, "cbor2"), again);
    ASSERT_EQ(to_hex(again.data()), line);
  }
  EXPECT_EQ(count, 500);
}

}  // namespace
}  // namespace qpcseal::cbor
