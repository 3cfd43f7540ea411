// SPDX-License-Identifier: Apache-2.0
// Any bytes as the front of a part of seal.aead: what is read is written back, and the counts of its chunks
// agree.
#include "appliance/seal/format.h"
#include "tests/fuzz/fuzz.h"

using namespace qpcseal;

QPCSEAL_FUZZ_TARGET(input) {
  fuzz::accepted([&] {
    const seal::SegmentHeader header = seal::parse_front(input);
    fuzz::require(equal(seal::encode_header(header), input.first(seal::kHeaderSize)), "another header");
    fuzz::require(equal(seal::encode_ranges(header.clear),
                        input.subspan(header.ranges_at()).first(header.clear.size() * seal::kRangeSize)),
                  "other ranges");
    fuzz::require(seal::are_well_formed(header.clear, header.size), "ranges that are not well formed");
    const std::uint64_t last = header.last_sealed_chunk(), count = header.chunk_count();
    fuzz::require(last < count && header.sealed_in_chunk(last) > 0, "a last chunk without sealed bytes");
    fuzz::require(header.entries() == header.entries_before(last) + 1, "entries behind the last one");
    if (count > 4096) return;
    std::uint64_t entries = 0, sealed = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      fuzz::require(header.entries_before(i) == entries, "entries that were not counted");
      sealed += header.sealed_in_chunk(i);
      if (header.sealed_in_chunk(i) > 0) ++entries;
    }
    fuzz::require(sealed == seal::sealed_bytes(header.clear, {0, header.size}), "bytes that no chunk has");
  });
}
