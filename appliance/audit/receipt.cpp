// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/receipt.h"

#include <algorithm>

#include "base/error.h"

namespace qpcseal::audit {

namespace {

constexpr const char* kType = "qpcseal-receipt";

Entry entry_of(const encoding::Json& json, const tlog::Checkpoint& checkpoint) {
  const std::string& line = encoding::text_member(json, "entry");
  const std::uint64_t index = encoding::uint_member(json, "index");
  const tlog::Proof proof = parse_proof(encoding::member(json, "proof"));
  if (!tlog::verify_inclusion(index, checkpoint.size, tlog::leaf_hash(view(line)), proof, checkpoint.root))
    throw Error(ErrorKind::LogDamaged, "the receipt's entry is not in the log that its checkpoint covers");
  Entry entry = parse_entry(line);
  if (entry.seq != index) throw Error(ErrorKind::LogDamaged, "the receipt's entry has another number");
  return entry;
}

// The key in force after the rotations, from one that was in force at any time. Their proofs are checked once
// it is known what they must be in.
tlog::VerifierKey last_key(const encoding::Json& rotations, tlog::VerifierKey key) {
  constexpr std::size_t kMaxRotations = 256;
  if (!rotations.is_array() || rotations.size() > kMaxRotations)
    throw Error(ErrorKind::Malformed, "receipt: 'rotations' is not a list");
  bool begun = false;
  for (const encoding::Json& rotation : rotations) {
    const Entry entry = parse_entry(encoding::text_member(rotation, "entry"));
    if (!is_rotation(entry)) throw Error(ErrorKind::Malformed, "receipt: a rotation that is none");
    // Those before the key that was given are not needed.
    if (!begun && encoding::text_member(entry.data, "previous") != key.text()) continue;
    key = rotated_key(entry, key);
    begun = true;
  }
  return key;
}

}  // namespace

encoding::Json as_json(const tlog::Proof& proof) {
  encoding::Json out = encoding::Json::array();
  for (const tlog::Hash& hash : proof) out.push_back(to_base64(hash));
  return out;
}

tlog::Proof parse_proof(const encoding::Json& list) {
  constexpr std::size_t kMaxProof = 64;
  if (!list.is_array() || list.size() > kMaxProof) throw Error(ErrorKind::Malformed, "receipt: no proof");
  tlog::Proof out;
  for (const encoding::Json& item : list) {
    if (!item.is_string()) throw Error(ErrorKind::Malformed, "receipt: a proof is of texts");
    const Bytes bytes = from_base64(item.get_ref<const std::string&>());
    tlog::Hash hash{};
    if (bytes.size() != hash.size()) throw Error(ErrorKind::Malformed, "receipt: a hash of another size");
    std::copy(bytes.begin(), bytes.end(), hash.begin());
    out.push_back(hash);
  }
  return out;
}

encoding::Json proven(const LogCopy& log, std::uint64_t seq) {
  if (seq >= log.checkpoint.size)
    throw Error(ErrorKind::Usage, "the log has no entry " + std::to_string(seq) + "; it has " +
                                      std::to_string(log.checkpoint.size) + " entries, counted from 0");
  return {{"index", seq},
          {"entry", log.line(seq)},
          {"proof", as_json(log.tree.inclusion(seq, log.checkpoint.size))}};
}

Entry check_proven(const encoding::Json& json, const tlog::Checkpoint& checkpoint) {
  encoding::expect_keys(json, {"index", "entry", "proof"}, "receipt");
  return entry_of(json, checkpoint);
}

std::string make_receipt(const LogCopy& log, std::uint64_t seq) {
  encoding::Json receipt = proven(log, seq);
  receipt["type"] = kType;
  receipt["v"] = 1U;
  receipt["checkpoint"] = log.note;
  receipt["rotations"] = encoding::Json::array();
  for (std::size_t i = 1; i < log.state.log_keys.size(); ++i)
    receipt["rotations"].push_back(proven(log, log.state.log_keys[i].since));
  return encoding::canonical(receipt) + "\n";
}

Entry entry_of_receipt(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  return parse_entry(encoding::text_member(encoding::parse_canonical(text, "receipt"), "entry"));
}

Receipt check_receipt(std::string_view text, const tlog::VerifierKey& key) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  const encoding::Json json = encoding::parse_canonical(text, "receipt");
  encoding::expect_keys(json, {"type", "v", "index", "entry", "proof", "checkpoint", "rotations"}, "receipt");
  if (encoding::text_member(json, "type") != kType || encoding::uint_member(json, "v") != 1)
    throw Error(ErrorKind::Malformed, "not a receipt of this program");
  const encoding::Json& rotations = encoding::member(json, "rotations");
  const tlog::Checkpoint checkpoint =
      tlog::open_checkpoint(encoding::text_member(json, "checkpoint"), last_key(rotations, key));
  for (const encoding::Json& rotation : rotations) static_cast<void>(check_proven(rotation, checkpoint));
  return {entry_of(json, checkpoint), checkpoint};
}

}  // namespace qpcseal::audit
