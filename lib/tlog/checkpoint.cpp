// SPDX-License-Identifier: Apache-2.0
#include "tlog/checkpoint.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace qpcseal::tlog {

namespace {

Error malformed(const std::string& what) { return {ErrorKind::Malformed, "checkpoint: " + what}; }

std::string_view take_line(std::string_view& text, const char* what) {
  const std::size_t at = text.find('\n');
  if (at == std::string_view::npos) throw malformed(std::string("no ") + what);
  const std::string_view line = text.substr(0, at);
  text.remove_prefix(at + 1);
  return line;
}

std::uint64_t parse_size(std::string_view text) {
  std::uint64_t size = 0;
  std::from_chars(text.data(), text.data() + text.size(), size);
  if (std::to_string(size) != text) throw malformed("its size is not a decimal number");
  return size;
}

Hash parse_root(std::string_view text) {
  const Bytes bytes = with_context("checkpoint", [&] { return from_base64(text); });
  Hash root;
  if (bytes.size() != root.size()) throw malformed("its root is not of 32 bytes");
  std::copy(bytes.begin(), bytes.end(), root.begin());
  return root;
}

}  // namespace

std::string sign_checkpoint(const Checkpoint& checkpoint, const VerifierKey& key, Signer& signer) {
  const std::string text =
      key.name() + "\n" + std::to_string(checkpoint.size) + "\n" + to_base64(checkpoint.root) + "\n";
  return sign_note(text, key, signer);
}

CheckpointText parse_checkpoint(std::string_view text) {
  CheckpointText out;
  out.origin = take_line(text, "origin");
  out.checkpoint.size = parse_size(take_line(text, "size"));
  out.checkpoint.root = parse_root(take_line(text, "root"));
  if (!text.empty()) throw malformed("extension lines are not allowed");
  return out;
}

Checkpoint open_checkpoint(std::string_view note, const VerifierKey& key) {
  if (note.size() > kMaxCheckpointSize) throw malformed("too large");
  const CheckpointText text = parse_checkpoint(open_note(note, key));
  if (text.origin != key.name())
    throw Error(ErrorKind::LogDamaged, "checkpoint: of another log than " + key.name());
  return text.checkpoint;
}

std::string claimed_origin(std::string_view note) { return std::string(take_line(note, "origin")); }

std::uint64_t claimed_size(std::string_view note) {
  take_line(note, "origin");
  return parse_size(take_line(note, "size"));
}

}  // namespace qpcseal::tlog
