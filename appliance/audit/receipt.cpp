#include "appliance/audit/receipt.h"

#include <algorithm>

#include "base/error.h"

namespace qpcseal::audit {

namespace {

constexpr const char* kType = "qpcseal-receipt";

Proof proof_of(const Json& list) {
  constexpr std::size_t kMaxProof = 64;
  if (!list.is_array() || list.size() > kMaxProof) throw Error(ErrorKind::Malformed, "receipt: no proof");
  Proof out;
  for (const Json& item : list) {
    if (!item.is_string()) throw Error(ErrorKind::Malformed, "receipt: a proof is of texts");
    const Bytes bytes = from_base64(item.get_ref<const std::string&>());
    Hash hash{};
    if (bytes.size() != hash.size()) throw Error(ErrorKind::Malformed, "receipt: a hash of another size");
    std::copy(bytes.begin(), bytes.end(), hash.begin());
    out.push_back(hash);
  }
  return out;
}

}  // namespace

std::string make_receipt(const LogCopy& log, std::uint64_t seq) {
  if (seq >= log.checkpoint.size)
    throw Error(ErrorKind::Usage, "the log has no entry " + std::to_string(seq) + "; it has " +
                                      std::to_string(log.checkpoint.size) + " entries, counted from 0");
  Json proof = Json::array();
  for (const Hash& hash : log.tree.inclusion(seq, log.checkpoint.size)) proof.push_back(to_base64(hash));
  return canonical({{"type", kType},
                    {"v", 1U},
                    {"index", seq},
                    {"entry", log.line(seq)},
                    {"proof", std::move(proof)},
                    {"checkpoint", log.note}}) +
         "\n";
}

Receipt check_receipt(std::string_view text, const VerifierKey& key) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  const Json json = parse_canonical(text, "receipt");
  expect_keys(json, {"type", "v", "index", "entry", "proof", "checkpoint"}, "receipt");
  if (text_member(json, "type") != kType || uint_member(json, "v") != 1)
    throw Error(ErrorKind::Malformed, "not a receipt of this program");
  const std::string& line = text_member(json, "entry");
  const std::uint64_t index = uint_member(json, "index");
  const Checkpoint checkpoint = open_checkpoint(text_member(json, "checkpoint"), key);
  const Proof proof = proof_of(member(json, "proof"));
  if (!verify_inclusion(index, checkpoint.size, leaf_hash(view(line)), proof, checkpoint.root))
    throw Error(ErrorKind::LogDamaged, "the receipt's entry is not in the log that its checkpoint covers");
  Receipt out{parse_entry(line), checkpoint};
  if (out.entry.seq != index) throw Error(ErrorKind::LogDamaged, "the receipt's entry has another number");
  return out;
}

}  // namespace qpcseal::audit
