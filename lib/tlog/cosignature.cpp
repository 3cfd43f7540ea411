// SPDX-License-Identifier: Apache-2.0
#include "tlog/cosignature.h"

#include <algorithm>

#include "base/error.h"

namespace qpcseal::tlog {

namespace {

constexpr std::uint8_t kType = 4;
constexpr std::size_t kTimeSize = 8, kSignatureSize = 64;  // bytes

Error malformed_cosignature(const std::string& what) { return {ErrorKind::Malformed, "witness: " + what}; }

// What the witness signed, and when.
Bytes message_of(std::string_view text, std::uint64_t time) {
  Bytes out;
  append(out, "cosignature/v1\ntime " + std::to_string(time) + "\n");
  append(out, text);
  return out;
}

}  // namespace

WitnessKey WitnessKey::parse(std::string_view vkey) {
  const std::size_t first = vkey.find('+');
  const std::size_t second = first == std::string_view::npos ? first : vkey.find('+', first + 1);
  if (second == std::string_view::npos) throw malformed_cosignature("a key is name+id+key");
  const Bytes blob = with_context("witness", [&] { return from_base64(vkey.substr(second + 1)); });
  if (blob.empty() || blob[0] != kType) throw malformed_cosignature("not a key for cosignatures (type 0x04)");
  WitnessKey key(
      VerifierKey(std::string(vkey.substr(0, first)), KeyType::Ed25519, Bytes(blob.begin() + 1, blob.end())));
  if (to_hex(key.id()) != vkey.substr(first + 1, second - first - 1))
    throw malformed_cosignature("the key's id does not belong to it");
  return key;
}

std::string WitnessKey::text() const {
  Bytes blob{kType};
  append(blob, ed25519_.key());
  return name() + "+" + to_hex(id()) + "+" + to_base64(blob);
}

std::array<std::uint8_t, 4> WitnessKey::id() const {
  Bytes input;
  append(input, name() + "\n");
  input.push_back(kType);
  append(input, ed25519_.key());
  const Sha256Digest digest = sha256(input);
  return {digest[0], digest[1], digest[2], digest[3]};
}

Cosigned open_cosigned(std::string_view note, const WitnessKey& key) {
  if (note.size() > kMaxCheckpointSize) throw malformed_cosignature("a checkpoint that is too large");
  const Note parts = parse_note(note);
  const auto found = std::ranges::find_if(parts.signatures, [&](const NoteSignature& one) {
    return one.name == key.name() && one.id == key.id();
  });
  if (found == parts.signatures.end())
    throw Error(ErrorKind::LogDamaged, "not cosigned by " + key.name() + "+" + to_hex(key.id()));
  if (found->signature.size() != kTimeSize + kSignatureSize)
    throw malformed_cosignature("a cosignature of another size");
  const ByteView blob = found->signature;
  const std::uint64_t time = load_be(blob.first(kTimeSize));
  if (time > static_cast<std::uint64_t>(INT64_MAX)) throw malformed_cosignature("a time out of range");
  if (!key.verify(message_of(parts.text, time), blob.subspan(kTimeSize)))
    throw Error(ErrorKind::LogDamaged, "the cosignature of " + key.name() + " does not verify");
  const CheckpointText text = parse_checkpoint(parts.text);
  return {text.origin, text.checkpoint, static_cast<UnixTime>(time)};
}

}  // namespace qpcseal::tlog
