// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/snapshot.h"

#include <algorithm>

#include "appliance/audit/state_codec.h"
#include "base/error.h"

namespace qpcseal::audit {

namespace {

constexpr std::string_view kMagic("qpcseal/snapshot/7\0", 19);

Bytes message_of(ByteView body) {
  Bytes out = copy(view(kMagic));
  append(out, sha256(body));
  return out;
}

tlog::Hash take_hash(ByteReader& reader) {
  tlog::Hash out{};
  const ByteView bytes = reader.take(out.size());
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

void append_body(Bytes& body, const Snapshot& snapshot, const tlog::VerifierKey& key) {
  append_lp16(body, view(key.text()));
  append_be(body, snapshot.tree.size(), 8);
  append(body, snapshot.tree.root());
  append_be(body, snapshot.bytes, 8);
  append(body, snapshot.digest);
  const std::vector<tlog::Hash> edge = snapshot.tree.edge();
  append_be(body, edge.size(), 1);
  for (const tlog::Hash& hash : edge) append(body, hash);
  encode_state(body, snapshot.state);
}

OpenedSnapshot parse_body(ByteView body, tlog::VerifierKey key, const std::shared_ptr<const void>& owner) {
  ByteReader reader(body, "snapshot");
  reader.lp16();
  OpenedSnapshot out{{}, std::move(key)};
  const std::uint64_t size = reader.be(8);
  const tlog::Hash root = take_hash(reader);
  out.snapshot.bytes = reader.be(8);
  out.snapshot.digest = take_hash(reader);
  std::vector<tlog::Hash> edge(reader.be(1));
  for (tlog::Hash& hash : edge) hash = take_hash(reader);
  out.snapshot.tree = tlog::Tree::from_edge(size, edge);
  out.snapshot.state = decode_state(reader, owner);
  reader.expect_end();
  if (out.snapshot.tree.root() != root || out.snapshot.state.size != size)
    throw Error(ErrorKind::Malformed, "snapshot: it contradicts itself");
  return out;
}

OpenedSnapshot parse(const SharedBytes& shared) {
  ByteReader reader(shared.bytes, "snapshot");
  if (text_view(reader.take(kMagic.size())) != kMagic) throw Error(ErrorKind::Malformed, "not a snapshot");
  const ByteView body = reader.take(reader.be(4)), signature = reader.lp16();
  reader.expect_end();
  tlog::VerifierKey key = tlog::VerifierKey::parse(text_view(ByteReader(body, "snapshot").lp16()));
  if (!key.verify(message_of(body), signature))
    throw Error(ErrorKind::Malformed, "snapshot: not signed by the key that it names");
  return parse_body(body, std::move(key), shared.owner);
}

}  // namespace

// In one buffer: the state may have many megabytes.
Bytes sign_snapshot(const Snapshot& snapshot, const tlog::VerifierKey& key, tlog::Signer& signer) {
  constexpr std::size_t kSize = 4, kRest = std::size_t{1} << 18;  // bytes; kRest: what is not in packed maps
  Bytes out;
  out.reserve(snapshot.state.challenges.packed_size() + snapshot.state.releases.packed_size() +
              snapshot.state.approvals_used.packed_size() + kRest);
  append(out, view(kMagic));
  append_be(out, 0, kSize);
  const std::size_t start = out.size();
  append_body(out, snapshot, key);
  Bytes size;
  append_be(size, out.size() - start, kSize);
  std::ranges::copy(size, out.begin() + static_cast<std::ptrdiff_t>(kMagic.size()));
  const Bytes message = message_of(ByteView(out).subspan(start)), signature = signer.sign(message);
  if (!key.verify(message, signature))
    throw Error(ErrorKind::Token, "the log key made a signature that its verification key does not accept");
  append_lp16(out, signature);
  return out;
}

std::optional<OpenedSnapshot> open_snapshot(const SharedBytes& bytes) {
  try {
    return parse(bytes);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Internal) throw;
    return std::nullopt;
  }
}

std::optional<OpenedSnapshot> open_snapshot(const SharedBytes& bytes, tlog::KeyType type,
                                            const Bytes& public_key) {
  auto out = open_snapshot(bytes);
  if (out && (out->key.type() != type || out->key.key() != public_key)) return std::nullopt;
  return out;
}

}  // namespace qpcseal::audit
