#include "appliance/audit/read.h"

#include <algorithm>
#include <cstring>

#include "appliance/audit/chain.h"
#include "appliance/audit/stream.h"
#include "base/error.h"

namespace qpcseal::audit {

namespace {

[[noreturn]] void damaged(const std::string& why) {
  throw Error(ErrorKind::LogDamaged, "the audit log is damaged: " + why);
}

template <typename Act>
decltype(auto) or_damaged(const std::string& where, Act act) {
  try {
    return act();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Malformed && error.kind() != ErrorKind::LogDamaged) throw;
    damaged(where + ": " + error.what());
  }
}

void apply_line(std::string_view line, const Hash& prev, State& state) {
  const Entry entry = parse_entry(line);
  if (entry.prev != prev) throw Error(ErrorKind::Malformed, "it does not follow the entry before");
  state.apply(entry);
}

VerifierKey genesis_key(std::string_view first_line) {
  return or_damaged(entry_name(0),
                    [&] { return VerifierKey::parse(text_member(parse_entry(first_line).data, "log_key")); });
}

// The keys that signed the log so far: the genesis entry's, and those that rotations brought in.
std::vector<LogKey> keys_of(std::string_view text, const std::vector<std::size_t>& starts,
                            const VerifierKey& first) {
  constexpr std::string_view kMark = "\"kind\":\"rotate-key\"";
  std::vector<LogKey> keys{{0, first.text()}};
  for (const char* at = text.data();; ++at) {
    const auto left = static_cast<std::size_t>(text.data() + text.size() - at);
    at = static_cast<const char*>(memmem(at, left, kMark.data(), kMark.size()));
    if (at == nullptr) return keys;
    const auto offset = static_cast<std::size_t>(at - text.data());
    const auto line =
        static_cast<std::uint64_t>(std::ranges::upper_bound(starts, offset) - starts.begin() - 1);
    or_damaged(entry_name(line), [&] {
      const Entry entry = parse_entry(text.substr(starts[line], starts[line + 1] - starts[line] - 1));
      if (is_rotation(entry)) rotate(keys, entry);
    });
  }
}

// The tree is complete: each entry in its place, chained to the one before, in time.
void check_chain(const LogCopy& copy, State& state) {
  for (std::uint64_t i = 0; i < copy.checkpoint.size; ++i) {
    or_damaged(entry_name(i), [&] {
      const EntryView entry = scan_entry(copy.line(i));
      check_follows(entry, i, i == 0 ? Hash{} : copy.tree.leaf(i - 1), state.last_time);
      state.last_time = entry.time;
    });
  }
  state.size = copy.checkpoint.size;
}

// What witnesses saw must be this log.
void check_witnessed(const LogCopy& copy) {
  for (const auto& [vkey, seen] : copy.state.witnessed)
    if (to_hex(copy.tree.root(seen.size)) != seen.root)
      damaged("its first " + std::to_string(seen.size) + " entries are not those that " + vkey + " saw");
}

LogCopy read_text(std::string text, std::string note, const std::optional<VerifierKey>& key, Check check) {
  Lines lines = split_lines(text);
  if (lines.empty()) damaged("entry 0 is missing");
  const VerifierKey first = genesis_key(lines[0]);
  if (key && !(*key == first)) damaged("it was signed for another key: " + first.text());
  const std::uint64_t size = or_damaged("checkpoint", [&] { return claimed_size(note); });
  lines.resize(std::min(size, lines.size()));
  std::vector<std::size_t> starts{0};
  for (const std::string_view line : lines) starts.push_back(starts.back() + line.size() + 1);
  std::vector<LogKey> keys = keys_of(std::string_view(text).substr(0, starts.back()), starts, first);
  const VerifierKey now = VerifierKey::parse(keys.back().vkey);
  const Checkpoint checkpoint = or_damaged("checkpoint", [&] { return open_checkpoint(note, now); });
  if (checkpoint.size == 0) damaged("the checkpoint covers nothing");
  LogCopy copy{{}, checkpoint, std::move(note), {}, now, {}, std::move(starts), {}};
  for (const std::string_view line : lines) copy.tree.append(leaf_hash(view(line)));
  if (lines.size() < checkpoint.size || copy.tree.root() != checkpoint.root)
    damaged(first_bad(split_lines(text), checkpoint));
  copy.tail = text.substr(copy.starts.back());
  text.resize(copy.starts.back());
  copy.text = std::move(text);
  if (check == Check::Proofs) {
    check_chain(copy, copy.state);
    copy.state.log_keys = std::move(keys);
    return copy;
  }
  Hash prev{};
  for (std::uint64_t i = 0; i < checkpoint.size; ++i) {
    or_damaged(entry_name(i), [&] { apply_line(copy.line(i), prev, copy.state); });
    prev = copy.tree.leaf(i);
  }
  check_witnessed(copy);
  return copy;
}

}  // namespace

void replay(const Lines& lines, Tree& tree, State& state) {
  for (const std::string_view line : lines) {
    or_damaged(entry_name(tree.size()),
               [&] { apply_line(line, tree.size() == 0 ? Hash{} : tree.leaf(tree.size() - 1), state); });
    tree.append(leaf_hash(view(line)));
  }
}

LogCopy read_log(std::string entries, std::string checkpoint, const std::optional<VerifierKey>& key) {
  return read_text(std::move(entries), std::move(checkpoint), key, Check::Everything);
}

LogCopy read_log(const std::filesystem::path& folder, const std::optional<VerifierKey>& key, Check check) {
  const Store store = Store::open_to_read(folder);
  std::string note = store.read_checkpoint();
  if (check == Check::Proofs)
    if (auto copy = stream_log(store, note, key)) return std::move(*copy);
  while (true) {
    LogCopy copy = read_text(store.read_entries(), note, key, check);
    if (is_one_append(split_lines(copy.tail))) return copy;
    // More than one append behind the checkpoint: a writer was at work meanwhile, or the checkpoint is old.
    std::string again = store.read_checkpoint();
    if (again == copy.note)
      damaged(entry_name(copy.checkpoint.size) +
              " and more stand behind the checkpoint: an older checkpoint was put back, or lines were added");
    note = std::move(again);
  }
}

}  // namespace qpcseal::audit
