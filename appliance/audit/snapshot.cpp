#include "appliance/audit/snapshot.h"

#include "appliance/audit/state_codec.h"
#include "base/error.h"

namespace qpcseal::audit {

namespace {

constexpr std::string_view kMagic("qpcseal/snapshot/4\0", 19);

Bytes message_of(ByteView body) {
  Bytes out = copy(view(kMagic));
  append(out, sha256(body));
  return out;
}

Hash take_hash(ByteReader& reader) {
  Hash out{};
  const ByteView bytes = reader.take(out.size());
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

Bytes body_of(const Snapshot& snapshot, const VerifierKey& key) {
  Bytes body;
  append_lp16(body, view(key.text()));
  append_be(body, snapshot.tree.size(), 8);
  append(body, snapshot.tree.root());
  append_be(body, snapshot.bytes, 8);
  append(body, snapshot.digest);
  const std::vector<Hash> edge = snapshot.tree.edge();
  append_be(body, edge.size(), 1);
  for (const Hash& hash : edge) append(body, hash);
  encode_state(body, snapshot.state);
  return body;
}

OpenedSnapshot parse_body(ByteView body, VerifierKey key) {
  ByteReader reader(body, "snapshot");
  reader.lp16();
  OpenedSnapshot out{{}, std::move(key)};
  const std::uint64_t size = reader.be(8);
  const Hash root = take_hash(reader);
  out.snapshot.bytes = reader.be(8);
  out.snapshot.digest = take_hash(reader);
  std::vector<Hash> edge(reader.be(1));
  for (Hash& hash : edge) hash = take_hash(reader);
  out.snapshot.tree = Tree::from_edge(size, edge);
  out.snapshot.state = decode_state(reader);
  reader.expect_end();
  if (out.snapshot.tree.root() != root || out.snapshot.state.size != size)
    throw Error(ErrorKind::Malformed, "snapshot: it contradicts itself");
  return out;
}

OpenedSnapshot parse(ByteView bytes) {
  ByteReader reader(bytes, "snapshot");
  if (text_of(reader.take(kMagic.size())) != kMagic) throw Error(ErrorKind::Malformed, "not a snapshot");
  const ByteView body = reader.take(reader.be(4)), signature = reader.lp16();
  reader.expect_end();
  VerifierKey key = VerifierKey::parse(text_of(ByteReader(body, "snapshot").lp16()));
  if (!key.verify(message_of(body), signature))
    throw Error(ErrorKind::Malformed, "snapshot: not signed by the key that it names");
  return parse_body(body, std::move(key));
}

}  // namespace

Bytes sign_snapshot(const Snapshot& snapshot, const VerifierKey& key, Signer& signer) {
  const Bytes body = body_of(snapshot, key);
  const Bytes message = message_of(body), signature = signer.sign(message);
  if (!key.verify(message, signature))
    throw Error(ErrorKind::Token, "the log key made a signature that its verification key does not accept");
  Bytes out = copy(view(kMagic));
  append_be(out, body.size(), 4);
  append(out, body);
  append_lp16(out, signature);
  return out;
}

std::optional<OpenedSnapshot> open_snapshot(ByteView bytes) {
  try {
    return parse(bytes);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Internal) throw;
    return std::nullopt;
  }
}

std::optional<OpenedSnapshot> open_snapshot(ByteView bytes, KeyType type, const Bytes& public_key) {
  auto out = open_snapshot(bytes);
  if (out && (out->key.type() != type || out->key.key() != public_key)) return std::nullopt;
  return out;
}

}  // namespace qpcseal::audit
