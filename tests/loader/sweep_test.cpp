// SPDX-License-Identifier: Apache-2.0
// A card given a container with any byte changed refuses to load it: every byte, no exception.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <map>

#include "appliance/seal/slots.h"
#include "device/loader/load.h"
#include "tests/loader/bench.h"

namespace qpcseal::testing {
namespace {

// Where a byte of the file belongs to: a segment's name, "header", "table", "names" or "padding".
std::vector<std::string> map_of(ByteView container, const std::filesystem::path& path) {
  const Fd file = open_to_read(path);
  const qpc::Container opened = qpc::Container::read(file);
  std::vector<std::string> out(container.size(), "padding");
  const auto mark = [&](std::uint64_t from, std::uint64_t size, const std::string& what) {
    std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(from), size, what);
  };
  const auto& rows = opened.segments();
  mark(0, qpc::kHeaderSize, "header");
  mark(qpc::kHeaderSize, rows.size() * qpc::kRowSize, "table");
  const std::uint64_t names = qpc::kHeaderSize + rows.size() * qpc::kRowSize;
  mark(names, qpc::front_size(rows) - names, "names");
  for (const qpc::Segment& row : rows) mark(row.data_position, row.size, row.name);
  return out;
}

// The file with one byte changed, and put back again.
void refused(const Fd& file, const std::filesystem::path& path, const device::Card& card, ByteView good,
             std::uint64_t at, std::uint8_t change) {
  const std::array<std::uint8_t, 1> bad{static_cast<std::uint8_t>(good[at] ^ change)};
  write_exact(file, bad, at);
  try {
    static_cast<void>(device::load(path, card, std::nullopt, Existing::Refuse));
    ADD_FAILURE() << "byte " << at << " changed by " << unsigned{change} << ", and the card loads it";
  } catch (const Error& error) {
    EXPECT_TRUE(error.kind() == ErrorKind::Denied || error.kind() == ErrorKind::Malformed) << error.what();
  }
  write_exact(file, good.subspan(at, 1), at);
}

class Sweep : public ::testing::TestWithParam<std::tuple<seal::Mode, bool>> {
 protected:
  Wish wanted() { return {.mode = std::get<0>(GetParam()), .readable = std::get<1>(GetParam())}; }
  std::string name() {
    return std::string(seal::to_string(std::get<0>(GetParam()))) +
           (std::get<1>(GetParam()) ? ", clear ranges" : "");
  }
};

TEST_P(Sweep, EveryByteOfABoundContainerIsNeeded) {
  Bench bench;
  const Bytes good = bench.seal(wanted());
  const device::Card card = bench.card();
  ASSERT_EQ(bench.refusal(good, card), "");
  const auto places = map_of(good, bench.file());
  const Fd file(open(bench.file().c_str(), O_RDWR | O_CLOEXEC));
  std::map<std::string, std::uint64_t> refused_in;
  for (std::uint64_t at = 0; at < good.size(); ++at) {
    refused(file, bench.file(), card, good, at, static_cast<std::uint8_t>(1U << (at % 8)));
    ++refused_in[places[at]];
  }
  ASSERT_EQ(bench.refusal(good, card), "") << "put back, it loads";
  std::uint64_t total = 0;
  std::string list;
  for (const auto& [place, count] : refused_in) {
    total += count;
    list += "  " + place + " " + std::to_string(count);
  }
  EXPECT_EQ(total, good.size());
  std::cout << "mode " << name() << ": " << total << " of " << good.size()
            << " changed bytes refused:" << list << "\n";
}

TEST_P(Sweep, EveryBitOfTheFrontAndTheSlots) {
  Bench bench;
  const Bytes good = bench.seal(wanted());
  const device::Card card = bench.card();
  const Fd file(open(bench.file().c_str(), O_RDWR | O_CLOEXEC));
  std::uint64_t count = 0;
  for (std::uint64_t at = 0; at < 2 * seal::kPageSize; at += at < 600 || at >= seal::kPageSize ? 1 : 64) {
    for (unsigned bit = 0; bit < 8; ++bit, ++count)
      refused(file, bench.file(), card, good, at, static_cast<std::uint8_t>(1U << bit));
  }
  std::cout << "mode " << name() << ": " << count << " flipped bits refused\n";
}

TEST_P(Sweep, EveryLengthButItsOwn) {
  Bench bench;
  const Bytes good = bench.seal(wanted());
  const device::Card card = bench.card();
  std::uint64_t count = 0;
  for (std::uint64_t size = 0; size<good.size(); size += size + 600> good.size() || size < 600 ? 1 : 509) {
    EXPECT_NE(bench.refusal(ByteView(good).first(size), card), "") << size;
    ++count;
  }
  for (const std::size_t more : {1U, 2U, 64U, 4095U, 4096U, 70000U}) {
    Bytes longer = good;
    longer.resize(good.size() + more);
    EXPECT_NE(bench.refusal(longer, card), "") << more << " bytes more";
    ++count;
  }
  std::cout << "mode " << name() << ": " << count << " other lengths refused\n";
}

INSTANTIATE_TEST_SUITE_P(BothModes, Sweep,
                         ::testing::Combine(::testing::Values(seal::Mode::Token, seal::Mode::Envelope),
                                            ::testing::Bool()),
                         [](const auto& one) {
                           return std::string(seal::to_string(std::get<0>(one.param))) +
                                  (std::get<1>(one.param) ? "_readable" : "");
                         });

}  // namespace
}  // namespace qpcseal::testing
