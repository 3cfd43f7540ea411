// SPDX-License-Identifier: Apache-2.0
// Random containers, sealed, bound, bound anew and loaded: the card sees the segments that went in. The
// sealing side and the loader share no code but the container reader. Seeds are fixed.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "appliance/seal/bind.h"
#include "appliance/seal/partitions.h"
#include "base/error.h"
#include "device/loader/load.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_folder.h"
#include "tests/properties/host_wrap.h"
#include "tests/seal/host_key.h"

namespace qpcseal {
namespace {

using testing::TestSegment;

constexpr unsigned kChunkLog2 = 16;  // 64 KiB
constexpr std::size_t kChunk = std::size_t{1} << kChunkLog2, kMaxSegments = 64;

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::size_t upto(std::size_t most) { return std::uniform_int_distribution<std::size_t>(0, most)(engine_); }
  bool one_in(std::size_t n) { return upto(n - 1) == 0; }
  Bytes bytes(std::size_t size) {
    Bytes out(size);
    for (auto& byte : out) byte = static_cast<std::uint8_t>(engine_());
    return out;
  }

 private:
  std::mt19937_64 engine_;
};

// Mostly small; some around the borders of chunks and pages, some empty.
std::size_t size_from(Dice& dice) {
  static constexpr std::size_t kBorders[] = {
      0, 1, 4095, 4096, 4097, kChunk - 1, kChunk, kChunk + 1, 2 * kChunk - 1, 2 * kChunk, 2 * kChunk + 1};
  if (dice.one_in(4)) return kBorders[dice.upto(std::size(kBorders) - 1)];
  return dice.upto(dice.one_in(8) ? 3 * kChunk : 3000);
}

std::vector<TestSegment> segments_from(Dice& dice, std::size_t count) {
  std::vector<TestSegment> out;
  for (std::size_t i = 0; i < count; ++i) {
    TestSegment segment{"s" + std::to_string(i) + std::string(dice.upto(20), 'x'),
                        dice.bytes(size_from(dice)), 0};
    if (segment.data.size() >= 4) segment.data[0] = 0;  // not the magic of a container
    segment.offset = dice.upto(segment.data.size());
    out.push_back(std::move(segment));
  }
  return out;
}

std::vector<std::string> some_of(Dice& dice, const std::vector<TestSegment>& segments) {
  std::vector<std::string> out;
  for (const TestSegment& segment : segments)
    if (!segment.data.empty() && !dice.one_in(3)) out.push_back(segment.name);
  for (const TestSegment& segment : segments)
    if (out.empty() && !segment.data.empty()) out.push_back(segment.name);
  return out;
}

// Of some of the wanted segments, what stays readable.
std::map<std::string, seal::ClearRanges> ranges_from(Dice& dice, const std::vector<TestSegment>& segments,
                                                     const std::vector<std::string>& wanted) {
  std::map<std::string, seal::ClearRanges> out;
  for (const TestSegment& segment : segments) {
    if (std::ranges::find(wanted, segment.name) == wanted.end() || dice.one_in(2)) continue;
    std::vector<qpc::Extent> extents;
    for (std::size_t i = dice.upto(5); i > 0; --i) {
      const std::size_t first = dice.upto(segment.data.size() - 1);
      const std::size_t most = segment.data.size() - first;
      extents.push_back({first, dice.upto(dice.one_in(3) ? most : std::min<std::size_t>(most, 300))});
    }
    const seal::ClearRanges ranges = seal::merged(std::move(extents));
    if (!ranges.empty() && seal::are_well_formed(ranges, segment.data.size())) out[segment.name] = ranges;
  }
  return out;
}

// A model of random shape; some have nothing that could be sealed.
class Model {
 public:
  explicit Model(std::uint64_t seed) : dice_(seed) {
    segments_ = segments_from(dice_, dice_.upto(dice_.one_in(5) ? kMaxSegments : 8));
    wanted_ = some_of(dice_, segments_);
    clear_ = ranges_from(dice_, segments_, wanted_);
    if (dice_.one_in(2)) add_partitions();
    input_ = testing::make_qpc(segments_);
  }

  [[nodiscard]] bool can_be_sealed() const { return !wanted_.empty() || !inner_wanted_.empty(); }
  [[nodiscard]] std::size_t parts() const { return std::max<std::size_t>(1, inner_wanted_.size()); }
  [[nodiscard]] const Fd& input() const { return input_; }
  const testing::HostKey& key() { return key_; }

  void seal_to(const Fd& output) {
    const qpc::Container container = qpc::Container::read(input_);
    std::vector<seal::Partition> partitions = seal::find_partitions(input_, container);
    ASSERT_EQ(partitions.size(), inner_wanted_.size());
    for (seal::Partition& partition : partitions) {
      partition.segments = inner_wanted_.at(partition.name);
      partition.clear = inner_clear_.at(partition.name);
    }
    for (std::size_t i = partitions.size(); i > 1; --i)
      std::swap(partitions[i - 1], partitions[dice_.upto(i - 1)]);
    seal::SealOptions options;
    options.mode = dice_.one_in(2) ? seal::Mode::Token : seal::Mode::Envelope;
    options.created = 1'800'000'000;
    options.model_name = "m";
    options.model_version = dice_.upto(1000);
    options.chunk_log2 = kChunkLog2;
    options.segments = wanted_;
    options.clear = clear_;
    options.threads = 2;
    SystemRandom random;
    const auto result =
        seal::seal_nested(input_, container, partitions, options, key_, signer_, random, output);
    EXPECT_EQ(result.root.encryptions, key_.calls);
  }

 private:
  void add_partitions() {
    const std::size_t count = 1 + dice_.upto(3);
    for (std::size_t i = 0; i < count; ++i) {
      auto inner = segments_from(dice_, 1 + dice_.upto(6));
      inner[0].data = dice_.bytes(1 + dice_.upto(kChunk + 1));
      inner[0].data[0] = 0;
      inner[0].offset = 0;
      const std::string name = "partition" + std::to_string(i);
      inner_wanted_[name] = some_of(dice_, inner);
      inner_clear_[name] = ranges_from(dice_, inner, inner_wanted_[name]);
      segments_.insert(segments_.begin() + static_cast<std::ptrdiff_t>(dice_.upto(segments_.size())),
                       {name, testing::contents(testing::make_qpc(inner)), 0});
    }
  }

  Dice dice_;
  std::vector<TestSegment> segments_;
  std::vector<std::string> wanted_;
  std::map<std::string, std::vector<std::string>> inner_wanted_;
  std::map<std::string, seal::ClearRanges> clear_;
  std::map<std::string, std::map<std::string, seal::ClearRanges>> inner_clear_;
  Fd input_;
  testing::HostKey key_;
  testing::FixedSigner signer_;
};

void expect_same(const Fd& a, const qpc::Container& left, const Fd& b, const qpc::Container& right) {
  ASSERT_EQ(left.segments().size(), right.segments().size());
  for (std::size_t i = 0; i < left.segments().size(); ++i) {
    const qpc::Segment &one = left.segments()[i], &other = right.segments()[i];
    EXPECT_EQ(one.name, other.name);
    EXPECT_EQ(one.offset, other.offset);
    ASSERT_EQ(one.size, other.size) << one.name;
    Bytes first(one.size), second(one.size);
    read_exact(a, first, one.data_position);
    read_exact(b, second, other.data_position);
    EXPECT_TRUE(first == second) << one.name;
  }
}

std::vector<device::Card> cards_for(std::size_t count) {
  std::vector<device::Card> out;
  for (unsigned i = 0; i < count; ++i) out.push_back(testing::make_card(i));
  return out;
}

std::vector<seal::Slots> wraps_for(const std::vector<device::Card>& cards, const testing::HostKey& key) {
  std::vector<seal::Slots> out;
  for (const device::Card& card : cards) out.push_back(testing::wrap_on_host(card, key.value(), key.id()));
  return out;
}

class Containers : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(Containers, SealBindReplaceAndLoadToTheSameSegments) {
  const qpcseal::testing::TempFolder dir;
  Model model(GetParam());
  const Fd sealed = testing::scratch_file();
  if (!model.can_be_sealed()) {
    EXPECT_ERROR(Malformed, "no segment to seal", model.seal_to(sealed));
    return;
  }
  model.seal_to(sealed);
  const auto before = cards_for(model.parts()), after = cards_for(model.parts());
  const auto load_and_compare = [&](const std::vector<device::Card>& cards) {
    device::load(dir / "bound", cards, dir / "plain", Existing::Replace);
    const Fd plain = open_to_read(dir / "plain");
    expect_same(model.input(), qpc::Container::read(model.input()), plain, qpc::Container::read(plain));
  };
  const seal::SealedTree tree = seal::SealedTree::read(sealed);
  AtomicFile bound(dir / "bound", Existing::Refuse);
  seal::bind_copy(sealed, tree.file_size(), seal::bindings_for(tree, wraps_for(before, model.key())),
                  bound.fd());
  bound.commit();
  load_and_compare(before);
  EXPECT_ERROR(Denied, "MEK.nonce is none that this card answered", load_and_compare(after));
  bool begun = false;
  seal::bind_in_place(dir / "bound", tree, seal::bindings_for(tree, wraps_for(after, model.key())), begun);
  load_and_compare(after);
  EXPECT_ERROR(Denied, "MEK.nonce is none that this card answered", load_and_compare(before));
}

// A model of two partitions on two cards.
class TwoCards : public ::testing::Test {
 protected:
  void SetUp() override {
    Dice dice(7);
    const auto inner = [&] {
      return testing::contents(
          testing::make_qpc({{"network.elf", dice.bytes(5000)}, {"desc", dice.bytes(300)}}));
    };
    const Fd input = testing::make_qpc({{"a", inner()}, {"mdp_meta_info", dice.bytes(50)}, {"b", inner()}});
    const qpc::Container container = qpc::Container::read(input);
    auto partitions = seal::find_partitions(input, container);
    for (auto& partition : partitions) partition.segments = {"network.elf"};
    seal::SealOptions options;
    options.model_name = "m";
    const Fd sealed = testing::scratch_file();
    SystemRandom random;
    seal::seal_nested(input, container, partitions, options, key, signer, random, sealed);
    cards = cards_for(2);
    const seal::SealedTree tree = seal::SealedTree::read(sealed);
    const Fd bound = testing::scratch_file();
    seal::bind_copy(sealed, tree.file_size(), seal::bindings_for(tree, wraps_for(cards, key)), bound);
    bytes = testing::contents(bound);
  }

  void load(const Bytes& container, const std::vector<device::Card>& on) {
    write_file(dir / "model", container, Existing::Replace);
    device::load(dir / "model", on, dir / "plain", Existing::Refuse);
    std::filesystem::remove(dir / "plain");
  }

  qpcseal::testing::TempFolder dir;
  testing::HostKey key;
  testing::FixedSigner signer;
  std::vector<device::Card> cards;
  Bytes bytes;
};

TEST_F(TwoCards, LoadInTheirOrderAndTogether) {
  load(bytes, cards);
  std::swap(cards[0], cards[1]);
  EXPECT_ERROR(Denied, "partition 0 on card 1", load(bytes, cards));
}

TEST_F(TwoCards, NoneMayBeMissingOrThereTwice) {
  std::vector<device::Card> one;
  one.push_back(std::move(cards[0]));
  EXPECT_ERROR(Usage, "2 partitions", load(bytes, one));
  one.push_back(testing::make_card(0));
  EXPECT_ERROR(Usage, "twice", load(bytes, one));
  EXPECT_FALSE(std::filesystem::exists(dir / "plain"));
}

TEST_F(TwoCards, RefuseAnyChangedByte) {
  constexpr std::size_t kStep = 61;
  for (std::size_t i = 0; i < bytes.size(); i += kStep) {
    Bytes changed = bytes;
    changed[i] ^= 0x10;
    try {
      load(changed, cards);
      // No card here has the seal key, so that the signature alone does not matter.
      const ByteView page = ByteView(bytes).subspan(i / 4096 * 4096);
      EXPECT_TRUE(page.size() >= 64 && equal(page.first(64), Bytes(64, 0x51))) << "byte " << i;
    } catch (const Error& error) {
      EXPECT_TRUE(error.kind() == ErrorKind::Denied || error.kind() == ErrorKind::Malformed) << error.what();
      EXPECT_FALSE(std::filesystem::exists(dir / "plain"));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Containers, ::testing::Range<std::uint64_t>(0, 60));

}  // namespace
}  // namespace qpcseal
