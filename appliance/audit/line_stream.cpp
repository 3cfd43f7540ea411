#include "appliance/audit/line_stream.h"

#include "appliance/audit/chain.h"
#include "base/error.h"

namespace qpcseal::audit {

namespace {

// Each line is hashed as it comes, and held against the one before.
class StreamWalk {
 public:
  // Error{Malformed} for a line that cannot follow.
  void take(std::string_view line) {
    const EntryView entry = scan_entry(line);
    check_follows(entry, tree.size(), last_, time);
    if (entry.seq == 0) keys.push_back({0, text_member(parse_entry(line).data, "log_key")});
    if (entry.kind == "rotate-key") follow(parse_entry(line));
    time = entry.time;
    last_ = leaf_hash(view(line));
    tree.append(last_);
  }

  Tree tree;
  UnixTime time = 0;
  std::vector<LogKey> keys;

 private:
  void follow(const Entry& entry) {
    if (is_rotation(entry)) rotate(keys, entry);
  }

  Hash last_{};
};

std::optional<LogCopy> walk(const Store& store, const std::string& note,
                            const std::optional<VerifierKey>& key) {
  const std::uint64_t size = claimed_size(note);
  if (size == 0) return std::nullopt;
  StreamWalk walk;
  const std::uint64_t end = store.each_line([&](std::string_view line) {
    walk.take(line);
    return walk.tree.size() < size;
  });
  if (walk.tree.size() != size) return std::nullopt;
  if (key && key->text() != walk.keys.front().vkey) return std::nullopt;
  VerifierKey now = VerifierKey::parse(walk.keys.back().vkey);
  LogCopy copy{{}, {}, note, std::move(walk.tree), std::move(now), {}, store.read_entries(end), 0};
  copy.checkpoint = open_checkpoint(note, copy.key);
  if (copy.checkpoint.size != size || copy.checkpoint.root != copy.tree.root()) return std::nullopt;
  if (!is_one_append(split_lines(copy.tail))) return std::nullopt;
  copy.state.size = size;
  copy.state.last_time = walk.time;
  copy.state.log_keys = std::move(walk.keys);
  return copy;
}

}  // namespace

std::optional<LogCopy> stream_log(const Store& store, const std::string& note,
                                  const std::optional<VerifierKey>& key) {
  try {
    return walk(store, note, key);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Internal) throw;
    return std::nullopt;
  }
}

}  // namespace qpcseal::audit
